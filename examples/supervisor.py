"""Supervisor: tasks are files that workers claim under a lease. One worker dies; nothing is lost, nothing is done twice."""

import json
import pathlib
import threading
import time

from agents import Server

N_TASKS = 6


def work(worker, dies_with_first=False):
    while True:
        claimed = worker.post("/v1/tasks/claim", {"workspace": "office", "lease_seconds": 2, "wait_seconds": 3})["task"]
        if claimed is None:
            worker.says("finds nothing more to do")
            return
        worker.says(f"claims {claimed['title']} (attempt {claimed['attempts']}, fence {claimed['fence']})")
        if dies_with_first:
            worker.says("dies with it")
            return
        worker.post(
            "/v1/tasks/complete",
            {
                "task_id": claimed["task_id"],
                "fence": claimed["fence"],
                "artifacts": [{"name": "answer.md", "content": f"{claimed['title']}: done by {worker.name}\n"}],
            },
        )


with Server() as server:
    boss = server.agent("boss", read="/office/**", write="/office/tasks/**", approve="/office/tasks/**")
    rights = {"read": "/office/**", "write": ["/office/tasks/**", "/office/artifacts/**"]}
    workers = [server.agent(name, **rights) for name in ("one", "two", "three")]

    for number in range(N_TASKS - 1):
        boss.post("/v1/tasks", {"workspace": "office", "title": f"review contract {number}", "priority": number})
    boss.says(f"makes {N_TASKS - 1} tasks")
    # A file that any program drops into the folder is a task as well.
    pending = pathlib.Path(server.folder.name) / "workspaces/office/tasks/pending"
    (pending / "urgent.json").write_text(json.dumps({"title": "review the urgent one", "priority": 100}))
    boss.says("drops urgent.json into tasks/pending/ with another program")
    while len(boss.get("/v1/tasks?workspace=office")["items"]) < N_TASKS:
        time.sleep(0.05)

    threads = [
        threading.Thread(target=work, args=(worker, number == 0)) for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done = boss.get("/v1/tasks?workspace=office&state=done")["items"]
    print(f"\n{len(done)} of {N_TASKS} tasks are done; one took {max(task['attempts'] for task in done)} attempts")
    print("the folder:", *server.tree(), sep="\n  ")
