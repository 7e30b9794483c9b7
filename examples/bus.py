"""Bus: a topic is a folder. Any number listen, a group shares the work, and who comes later hears the past."""

from agents import Receiver, Server

with Server() as server:
    everywhere = {"read": "/office/events/**", "write": "/office/events/**"}
    shop, mail, crm = (server.agent(name, **everywhere) for name in ("shop", "mail", "crm"))
    about = {"paths": ["/office/events/**"], "kinds": ["topic.published"]}
    mail_receiver, crm_receiver = Receiver(), Receiver()
    mail_receiver.subscribe(mail, **about)
    crm_receiver.subscribe(crm, **about)

    shop.write("/office/events/user-signup.json", '{"user": "ada"}')
    shop.says("drops /office/events/user-signup.json")
    shop.post("/v1/topics/user-signup", {"workspace": "office", "data": {"user": "grace"}})
    shop.says("publishes on user-signup, without a file")
    for agent, receiver in ((mail, mail_receiver), (crm, crm_receiver)):
        for _ in range(2):
            event = receiver.next()
            agent.says(f"is told of {event['event']} {event['path']}: {event['data']}")

    members = [server.agent(name, **everywhere) for name in ("billing-1", "billing-2")]
    group = {"workspace": "office", "topic": "user-signup", "group": "billing"}
    for member in members:
        items = member.post("/v1/consumers/fetch", {**group, "limit": 1})["items"]
        member.says(f"fetches {len(items)} for its group: {items[0]['data']}")
        member.post("/v1/consumers/ack", {**group, "ids": [item["id"] for item in items]})

    late = server.agent("late", **everywhere)
    late_receiver = Receiver()
    late_receiver.subscribe(late, **about, after="start")
    for _ in range(2):
        late.says(f"comes later and hears of {late_receiver.next()['path']}")
