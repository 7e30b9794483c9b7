"""Drop-off: A leaves a file, a webhook wakes B, B reads it and leaves its own. B is dead when the file comes."""

import time

from agents import Receiver, Server

with Server() as server:
    a = server.agent("a", write="/office/outputs/research/**")
    b = server.agent("b", read="/office/outputs/**", write="/office/outputs/summaries/**")
    receiver = Receiver()
    webhook = receiver.subscribe(b, paths=["/office/outputs/research/**"], kinds=["file.created"])

    receiver.die()
    b.says("is dead")
    a.says("writes /office/outputs/research/report-1.md")
    a.write("/office/outputs/research/report-1.md", "# Report\n\nThe pump fails at 60 degrees.\n")

    delivery = b.get(f"/v1/webhooks/{webhook}/deliveries")["items"]
    while not (delivery and delivery[0]["attempts"]):
        time.sleep(0.05)
        delivery = b.get(f"/v1/webhooks/{webhook}/deliveries")["items"]
    secret, port = receiver.secret, receiver.port
    receiver = Receiver(port)
    receiver.secret = secret
    b.says("is back")
    event = receiver.next()
    b.says(f"is told of {event['event']} {event['path']}, signed by the server")
    report = b.read(event["path"])
    b.write("/office/outputs/summaries/summary-1.md", report.splitlines()[-1] + "\n")
    b.says("writes /office/outputs/summaries/summary-1.md")

    delivery = b.get(f"/v1/webhooks/{webhook}/deliveries")["items"][0]
    print(f"\nthe delivery: {delivery['state']} after {delivery['attempts']} attempts")
    print("the folder:  ", *server.tree())
