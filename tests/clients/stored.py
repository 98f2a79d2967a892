"""An upstream's stored objects, in memory: what is posted to a collection becomes an object there, which can be read and
deleted, and files keep their bytes. It knows no fields, so that it serves files, batches, vector stores and the rest alike.
scripted.py answers with it."""
import email.parser
import email.policy
import itertools
import json
import re
import threading

# By the collection's last word.
KINDS = {"files": ("file", "file-"), "batches": ("batch", "batch_"), "vector_stores": ("vector_store", "vs_"),
         "conversations": ("conversation", "conv_"), "jobs": ("fine_tuning.job", "ftjob-"), "containers": ("container", "cntr_"),
         "videos": ("video", "video_"), "evals": ("eval", "eval_"), "runs": ("eval.run", "evalrun_"),
         "items": ("item", "msg_")}
lock = threading.Lock()
numbers = itertools.count(1)
objects = {}  # by path
contents = {}  # bytes by path


def keeps(path):
    """Whether it answers for a path."""
    return re.match(r"/v1/(messages/batches|files|batches|vector_stores|conversations|fine_tuning/jobs|containers|videos|evals|"
                    r"realtime)\b", path) is not None


def fields_of(content_type, body):
    """The fields of a form or a JSON body, and the bytes of its file."""
    if not content_type.startswith("multipart/form-data"):
        return (json.loads(body) if body else {}), None
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields, content = {}, None
    for part in email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body).iter_parts():
        if part.get_filename():
            content = part.get_payload(decode=True)
            fields["filename"] = part.get_filename()
        else:
            fields[part.get_param("name", header="content-disposition")] = part.get_content()
    return fields, content


def answer(method, path, headers, body):
    """Returns status, headers and bytes of the answer."""
    path = path.split("?")[0].rstrip("/").removeprefix("/v1")
    said = lambda status, value: (status, {"content-type": "application/json"}, json.dumps(value).encode())
    missing = said(404, {"error": {"message": f"No such object: {path}", "type": "invalid_request_error", "param": "id",
                                   "code": "not_found"}})
    last = path.rsplit("/", 1)[-1]
    with lock:
        if method == "GET" and last in ("content", "results"):
            if path.rsplit("/", 1)[0] not in contents:
                return missing
            data = contents[path.rsplit("/", 1)[0]]
            more = {"content-type": "application/octet-stream", "content-disposition": 'attachment; filename="a"'}
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range") or "")
            if not part:
                return 200, more, data
            first, end = int(part[1]), int(part[2])
            return 206, {**more, "content-range": f"bytes {first}-{end}/{len(data)}"}, data[first:end + 1]
        if method == "POST" and last in KINDS:
            fields, content = fields_of(headers.get("content-type") or "", body)
            kind, prefix = KINDS[last]
            name = fields.get("file_id") or f"{prefix}{next(numbers)}"
            made = {"status": "processed" if last == "files" else "completed", "created_at": 1, **fields, "id": name, "object": kind}
            if content is not None:
                made["bytes"] = len(content)
                contents[f"{path}/{name}"] = content
            elif last == "videos":
                contents[f"{path}/{name}"] = b"\0\0\0\x18ftypmp42"
            objects[f"{path}/{name}"] = made
            return said(200, made)
        if method == "POST" and last == "search":
            return said(200, {"object": "vector_store.search_results.page", "search_query": ["q"], "data": [],
                              "has_more": False, "next_page": None})
        if method == "POST" and path.startswith("/realtime/"):
            return said(200, {"value": "ek_1", "expires_at": 1, "session": json.loads(body).get("session")})
        if method == "POST" and path.rsplit("/", 1)[0] in objects:  # cancel and the like
            changed = objects[path.rsplit("/", 1)[0]]
            changed["status"] = "cancelled"
            return said(200, changed)
        if method == "GET" and last in KINDS:
            found = [each for at, each in objects.items() if at.rsplit("/", 1)[0] == path]
            return said(200, {"object": "list", "data": found, "has_more": False, "first_id": None, "last_id": None})
        if path not in objects:
            return missing
        if method == "GET":
            return said(200, objects[path])
        if method == "POST":
            objects[path].update(json.loads(body))
            return said(200, objects[path])
        gone = objects.pop(path)
        contents.pop(path, None)
        if gone["object"] == "container":
            return 204, {}, b""
        return said(200, {"id": gone["id"], "object": gone["object"] + ".deleted", "deleted": True})
