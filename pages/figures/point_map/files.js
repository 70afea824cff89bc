// Binary files of the session are named by their content: one that was fetched is good for as long as the page is open.

const FETCHED = "__voxscopeFetched";
const MAX_FETCHED = 8;

export function fetched(url) {
  const kept = (window[FETCHED] ||= new Map());
  if (!kept.has(url)) {
    const coming = fetch(url).then((response) => {
      if (!response.ok) throw new Error(`${response.status}`);
      return response.arrayBuffer();
    });
    coming.catch(() => kept.delete(url));
    kept.set(url, coming);
    if (kept.size > MAX_FETCHED) kept.delete(kept.keys().next().value);
  }
  return kept.get(url);
}
