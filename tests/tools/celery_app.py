#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The platform's reconciliation task as a real Celery app, and the ways in which a run may end.

    celery_app.py BROKER_URL [--track] [--expires SECONDS] [--pickle] [--solo]      a worker in the foreground; --solo: as one process

What a run does is read, when it begins, from the key `celery-app:behaviour` of the broker's Redis:

    ok                 succeeds at once: {"missing_count": 3, "queued_count": 2}
    slow SECONDS       the same, later
    fail BYTES         raises with a message of so many bytes, and as long a traceback
    retry              is retried once, after a second, and then succeeds
    hang               never ends
    words              returns a text
"""

import argparse
import sys
import time

import celery
import redis

TASK = "app.tasks.reconciliation_tasks.reconcile_call_logs"


def make_app(url, track=False, expires=3600, pickle=False):
    app = celery.Celery("platform", broker=url, backend=url)
    app.conf.update(
        task_track_started=track, result_expires=expires, worker_hijack_root_logger=False,
        result_serializer="pickle" if pickle else "json", accept_content=["json"], result_accept_content=["json", "pickle"],
        worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)

    @app.task(name=TASK, bind=True, max_retries=2)
    def reconcile_call_logs(self):
        words = (redis.Redis.from_url(url.replace("redis+socket", "unix")).get("celery-app:behaviour") or b"ok").decode().split()
        if words[0] == "slow":
            time.sleep(float(words[1]))
        elif words[0] == "fail":
            raise ValueError("x" * int(words[1]))
        elif words[0] == "retry" and self.request.retries == 0:
            raise self.retry(exc=RuntimeError("not yet"), countdown=1)
        elif words[0] == "hang":
            time.sleep(3600)
        elif words[0] == "words":
            return "all is well"
        return {"missing_count": 3, "queued_count": 2}

    return app


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--track", action="store_true")
    parser.add_argument("--pickle", action="store_true")
    parser.add_argument("--solo", action="store_true")
    parser.add_argument("--expires", type=float, default=3600)
    arguments = parser.parse_args()
    app = make_app(arguments.url, arguments.track, arguments.expires, arguments.pickle)
    app.worker_main(["worker", "--loglevel=INFO", "--concurrency=1", f"--pool={'solo' if arguments.solo else 'prefork'}", "--without-gossip",
                     "--without-mingle", "--without-heartbeat"])


if __name__ == "__main__":
    sys.exit(main())
