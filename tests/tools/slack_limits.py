# SPDX-License-Identifier: MIT
"""What Slack takes, written from its documentation and not from our code: faults(body) says all that is wrong with a message.

Text objects, blocks and elements: docs.slack.dev/reference/block-kit; messages: docs.slack.dev/reference/methods/chat.postMessage and
…/messaging/sending-messages-using-incoming-webhooks; escaping: …/messaging/formatting-message-text. Slack counts characters as JavaScript does.
Two limits are not published and were found by others: all blocks together (msg_blocks_too_long from some 11,300 characters on), and 20 blocks in
an attachment. Beyond what Slack takes, it is looked for what it would *do*: pings, links, and characters that act unseen.
"""

import json
import re
import unicodedata
from urllib.parse import urlsplit

BLOCKS_CHARACTERS = 11000
ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


def units(text):
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Look:
    def __init__(self):
        self.faults, self.action_ids, self.blocks = [], set(), 0

    def want(self, holds, what):
        if not holds:
            self.faults.append(what)
        return holds

    def keys(self, thing, where, required, optional=()):
        if not self.want(isinstance(thing, dict), f"{where} is no object"):
            return False
        self.want(set(required) <= set(thing), f"{where} lacks {set(required) - set(thing)}")
        self.want(set(thing) <= set(required) | set(optional), f"{where} has {set(thing) - set(required) - set(optional)}")
        return set(required) <= set(thing)

    def text(self, text, where, most, least=1):
        """A text as it goes over the wire: escaped, within its limit, with nothing that acts unseen."""
        if not self.want(isinstance(text, str), f"{where} is no text"):
            return
        self.want(least <= units(text) <= most, f"{where} has {units(text)} characters, of {least} to {most}")
        self.want("<" not in text and ">" not in text, f"{where}: a mention or a link: {text!r}")
        self.want(not ENTITY.search(text), f"{where}: & is not escaped: {text!r}")
        for c in text:
            self.want(c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp"), f"{where}: {c!r}")
            self.want(unicodedata.bidirectional(c) not in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"), f"{where}: {c!r}")

    def text_object(self, thing, where, most, plain_only=False):
        if not self.keys(thing, where, ["type", "text"], ["emoji", "verbatim"]):
            return
        self.want(thing["type"] in (["plain_text"] if plain_only else ["plain_text", "mrkdwn"]), f"{where}: type {thing['type']}")
        self.want("emoji" not in thing or thing["type"] == "plain_text", f"{where}: emoji with mrkdwn")
        self.want("verbatim" not in thing or thing["type"] == "mrkdwn", f"{where}: verbatim with plain_text")
        self.want(thing["type"] == "plain_text" or thing.get("verbatim") is True, f"{where}: names and links are looked for in it")
        self.want(thing["type"] == "mrkdwn" or thing.get("emoji") is False, f"{where}: :fire: becomes a picture")
        self.text(thing["text"], where, min(most, 3000))

    def button(self, thing, where):
        if not self.keys(thing, where, ["type", "text"], ["action_id", "url", "value", "style", "confirm", "accessibility_label"]):
            return
        self.want(thing["type"] == "button", f"{where}: type {thing['type']}")
        self.text_object(thing["text"], where, 75, plain_only=True)
        action_id = thing.get("action_id", "")
        self.want(len(action_id) <= 255 and action_id not in self.action_ids, f"{where}: action_id {action_id!r}")
        self.action_ids.add(action_id)
        self.want(thing.get("style", "primary") in ("primary", "danger"), f"{where}: style")
        self.want(units(thing.get("value", "")) <= 2000, f"{where}: value")
        url = thing.get("url")
        if url is not None:
            self.want(units(url) <= 3000 and urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc, f"{where}: url {url!r}")
            self.want(url.isascii() and url.isprintable() and not re.search(r'[\s"<>\\^`{|}]', url), f"{where}: url {url!r}")

    def header(self, block, where):
        if self.keys(block, where, ["type", "text"], ["block_id"]):
            self.text_object(block["text"], where, 150, plain_only=True)

    def section(self, block, where):
        self.keys(block, where, ["type"], ["text", "fields", "accessory", "block_id", "expand"])
        self.want("text" in block or "fields" in block, f"{where} has neither text nor fields")
        if "text" in block:
            self.text_object(block["text"], where, 3000)
        if "fields" in block:
            self.want(1 <= len(block["fields"]) <= 10, f"{where} has {len(block['fields'])} fields")
            for i, field in enumerate(block["fields"]):
                self.text_object(field, f"{where}.fields[{i}]", 2000)
        if "accessory" in block:
            self.button(block["accessory"], f"{where}.accessory")

    def context(self, block, where):
        if self.keys(block, where, ["type", "elements"], ["block_id"]):
            self.want(1 <= len(block["elements"]) <= 10, f"{where} has {len(block['elements'])} elements")
            for i, element in enumerate(block["elements"]):
                self.text_object(element, f"{where}[{i}]", 3000)

    def actions(self, block, where):
        if self.keys(block, where, ["type", "elements"], ["block_id"]):
            self.want(1 <= len(block["elements"]) <= 25, f"{where} has {len(block['elements'])} elements")
            for i, element in enumerate(block["elements"]):
                self.button(element, f"{where}[{i}]")

    def divider(self, block, where):
        self.keys(block, where, ["type"], ["block_id"])

    def all_blocks(self, blocks, where, most):
        if not self.want(isinstance(blocks, list) and 1 <= len(blocks) <= most, f"{where}: not 1 to {most} blocks"):
            return
        self.blocks += len(blocks)
        for i, block in enumerate(blocks):
            kind = block.get("type") if isinstance(block, dict) else None
            if self.want(kind in ("header", "section", "context", "actions", "divider"), f"{where}[{i}]: block {kind}"):
                getattr(self, kind)(block, f"{where}[{i}] ({kind})")

    def attachment(self, attachment, where):
        self.keys(attachment, where, ["blocks"], ["color", "fallback"])
        self.want(re.fullmatch(r"#[0-9a-fA-F]{6}|good|warning|danger", attachment.get("color", "good")), f"{where}: colour")
        if "fallback" in attachment:
            self.text(attachment["fallback"], f"{where}.fallback", 3000)
        self.all_blocks(attachment.get("blocks"), f"{where}.blocks", 20)


def no_doubles(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key twice: {keys}")
    return dict(pairs)


MEMBERS = ["channel", "ts", "thread_ts", "reply_broadcast", "text", "blocks", "attachments", "link_names", "parse", "mrkdwn", "unfurl_links",
           "unfurl_media"]


def faults(raw, api):
    """All that is wrong with these bytes, as texts; `api`: for a method and not for a webhook."""
    look = Look()
    try:
        body = json.loads(raw.decode("utf-8"), object_pairs_hook=no_doubles)
    except ValueError as error:
        return [f"no JSON: {error}"]
    if not look.keys(body, "the message", ["text"], MEMBERS):
        return look.faults
    look.text(body["text"], "text", 4000)  # of 40,000; but a longer one cannot be edited
    look.want(body.get("parse") == "none" and body.get("link_names") is False, "names are looked for in the text")
    look.want(body.get("mrkdwn") is False, "the text is taken for markup")
    look.want(body.get("unfurl_links") is False and body.get("unfurl_media") is False, "links are unfurled")
    if api:
        look.want(re.fullmatch(r"[#\w-]{1,100}", body.get("channel", "")), f"channel {body.get('channel')!r}")
        for key in ("ts", "thread_ts"):
            look.want(re.fullmatch(r"\d+\.\d+", body.get(key, "1.1")), f"{key} {body.get(key)!r}")
    else:
        look.want(not {"channel", "ts", "thread_ts", "reply_broadcast"} & set(body), "a webhook has one channel, and no threads")
    if "blocks" in body:
        look.all_blocks(body["blocks"], "blocks", 50)
    attachments = body.get("attachments", [])
    look.want(len(attachments) <= 20, f"{len(attachments)} attachments")
    for i, attachment in enumerate(attachments):
        look.attachment(attachment, f"attachments[{i}]")
    look.want(look.blocks <= 50, f"{look.blocks} blocks")
    size = units(json.dumps([body.get("blocks"), attachments], ensure_ascii=False, separators=(",", ":")))
    look.want(size <= BLOCKS_CHARACTERS, f"msg_blocks_too_long: {size} characters of blocks")
    return look.faults


def texts(body):
    """All texts of a message as a person sees them, in order."""
    found = []

    def walk(thing, key=None):
        if isinstance(thing, dict):
            for name, value in thing.items():
                walk(value, name)
        elif isinstance(thing, list):
            for value in thing:
                walk(value, key)
        elif key in ("text", "fallback") and isinstance(thing, str):
            found.append(thing.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    walk(body)
    return found


if __name__ == "__main__":  # for unit tests: a message on each line, `api ` or `hook ` before it; answered with what is wrong with it
    import sys

    print("slack_limits", flush=True)
    for line in sys.stdin.buffer:
        kind, _, raw = line.rstrip(b"\n").partition(b" ")
        print("; ".join(faults(raw, kind == b"api"))[:4000].replace("\n", " "), flush=True)
