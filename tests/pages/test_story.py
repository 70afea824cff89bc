"""The story on the pages: a bar above each step, the way on and back in addresses, and nothing that leads outside."""

EVIL = """## [<b>x</b>](latents)

![p](http://e.test/p.png) [a](http://e.test) **loud** :red[y]

## [Last](notes)

End.
"""


def ways(app):
    return {link.proto.label: link.proto for link in app.get("page_link")}


def test_a_step_shows_its_words_and_leads_on(app_test, small_workspace, words):
    app = app_test(small_workspace, "overview").run()
    assert "step=1" in ways(app)["Take the tour"].query_string and "of 10" not in words(app)
    app = app_test(small_workspace, "latents", step="2").run()
    assert not app.exception and "2 of 10" in words(app)
    found = ways(app)
    assert (found["Next"].page, found["Back"].page) == ("latents", "")
    assert "step=3" in found["Next"].query_string
    app.button(key="story_end").click().run()
    assert "of 10" not in words(app) and "step" not in app.query_params
    last = app_test(small_workspace, "verification", step="99").run()
    assert "10 of 10" in words(last) and "Next" not in ways(last)
    assert "1 of 10" in words(app_test(small_workspace, "overview", step="-5e9").run())


def test_what_a_team_wrote_is_text(app_test, own_workspace, words):
    (own_workspace / "story.md").write_text(EVIL, "utf-8")
    app = app_test(own_workspace, "latents", step="1").run()
    said = next(part.value for part in app.markdown if "loud" in part.value)
    assert "**loud**" in said and "http://e.test" not in said and "[a](" not in said
    assert not app.exception
    (own_workspace / "story.md").write_text("nothing", "utf-8")
    app = app_test(own_workspace, "latents", step="1").run()
    assert "has 0 steps" in words(app) and app.dataframe
