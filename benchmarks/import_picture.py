"""How the modules of a package import each other: modules, arrows, floors, rooms; also of another checkout.

    python -m benchmarks.import_picture [sae_core] [--root FOLDER]

A floor is a level of the import order: modules on it import only lower ones. A room is a folder directly below the
package, or a module that lies flat in it; its arrows count each pair of rooms once.
"""

import argparse
import sys
from pathlib import Path

import grimp


def n_floors(arrows: dict[str, set[str]]) -> int:
    """The longest chain of imports, in modules; what imports in a circle counts as one step."""
    depth: dict[str, int] = {}

    def floor_of(name: str, above: tuple[str, ...] = ()) -> int:
        if name not in depth:
            below = [floor_of(to, (*above, name)) for to in arrows[name] if to not in above and to != name]
            depth[name] = 1 + max(below, default=0)
        return depth[name]

    return max(map(floor_of, arrows), default=0)


def room_of(module: str) -> str:
    """The part of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def picture(package: str, root: Path) -> dict[str, int]:
    """What is counted of a package that lies in `root`."""
    sys.path.insert(0, str(root))
    graph = grimp.build_graph(package, cache_dir=None)
    modules = {name for name in graph.modules if name != package}
    arrows = {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}
    rooms: dict[str, set[str]] = {room_of(name): set() for name in modules}
    for name, imported in arrows.items():
        rooms[room_of(name)] |= {room_of(to) for to in imported} - {room_of(name)}
    return {
        "modules": len(modules),
        "arrows between modules": sum(map(len, arrows.values())),
        "names at the top": len(rooms),
        "floors": n_floors(rooms),
        "arrows between rooms": sum(map(len, rooms.values())),
    }


def main() -> None:
    """Print the picture of one package."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("package", nargs="?", default="sae_core")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout to look at")
    options = parser.parse_args()
    for what, n in picture(options.package, options.root.resolve()).items():
        print(f"{what:24}{n:6}")


if __name__ == "__main__":
    main()
