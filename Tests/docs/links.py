#!/usr/bin/env python3
"""Fails if a link of README.md or of the built site leads nowhere: to a file, a heading, a page or a picture that does not exist. A link to
another site is not followed: it has to have the form of one.

usage: links.py SITE
"""
import json
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


def is_external(link):
    """Whether it is the address of another site, well formed."""
    parts = urllib.parse.urlparse(link)
    return parts.scheme in ("http", "https") and "." in parts.netloc and not re.search(r"\s", link)


def headings(path):
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def markdown(path):
    """The links of a Markdown file that is read as it stands in the repository."""
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if ":" in link:
            if not is_external(link):
                yield f"{path.name}: {link} is not the address of a site"
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists():
            yield f"{path.name}: there is no {link}"
        elif anchor and anchor not in headings(target):
            yield f"{path.name}: {file} has no heading {anchor}"


def walk(value):
    """Every object in a page's data."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from walk(item)


def inside(site, pages, url):
    """What is wrong with an address within the site; nothing if it leads to a page, and to a place in it."""
    place, _, anchor = url.partition("#")
    page = pages.get(place.rstrip("/").lower())
    if page is None:
        return None if (site / place.lstrip("/")).is_file() else f"there is no {url}"
    anchors = {part["anchor"].lower() for part in walk(page) if isinstance(part.get("anchor"), str)}
    return f"{place} has no place {anchor}" if anchor and urllib.parse.unquote(anchor).lower() not in anchors else None


def built(site):
    """The links of the site; the count of those that were looked at comes last."""
    data = site / "data"
    pages = {"/" + str(path.relative_to(data).with_suffix("")).lower(): json.loads(path.read_text()) for path in data.rglob("*.json")}
    count = 0
    for name, page in pages.items():
        references = page.get("references", {})
        for part in walk({key: value for key, value in page.items() if key != "references"}):
            if part.get("type") == "reference" and part.get("isActive", True) and part["identifier"] not in references:
                yield f"{name}: {part['identifier']} is not a page"
        for part in references.values():
            urls = [part["url"]] if part.get("url") else []
            if part.get("type") in ("image", "video"):
                urls = [variant["url"] for variant in part["variants"]]
            for url in urls:
                count += 1
                wrong = None if is_external(url) else f"{url} is not an address" if not url.startswith("/") else inside(site, pages, url)
                if wrong:
                    yield f"{name}: {wrong}"
        if not (site / name.lstrip("/") / "index.html").exists():
            yield f"{name}: the page has no index.html"
    for part in walk(json.loads((site / "index/index.json").read_text())):
        if "path" in part:
            count += 1
            if wrong := inside(site, pages, part["path"]):
                yield f"the navigation: {wrong}"
    entry = re.search(r"url=(\S+?)\"", (site / "index.html").read_text())[1]
    if wrong := inside(site, pages, "/" + entry):
        yield f"index.html: {wrong}"
    print(f"links: {count} of {len(pages)} pages")


def main():
    wrong = [sentence for path in (ROOT / "README.md", ROOT / "guest/linux/README.md") for sentence in markdown(path)]
    wrong += built(pathlib.Path(sys.argv[1]))
    for sentence in wrong:
        print(f"not ok - {sentence}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
