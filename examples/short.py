# Thirty lines that join, say and resume, in Python with `websockets`: python3 examples/short.py [url] [room] [user]
import asyncio, json, random, sys, threading
import websockets  # Debian and Ubuntu: python3-websockets

url, room, user = (sys.argv[1:] + ["ws://127.0.0.1:8080/ws", "lobby", "python"][len(sys.argv) - 1 :])[:3]
since = {}  # the position of the last message printed: what the next join gives back

def show(frame):
    kind, at = frame["type"], {key: frame[key] for key in ("epoch", "seq") if key in frame}
    if "reason" in frame: print(f"* {kind}: {frame['reason']}")  # messages are gone, or the server says goodbye
    for message in frame.get("messages", []) + ([frame] if kind == "message" else []):
        print(f"#{message['seq']} {message.get('from', {}).get('user')}: {json.dumps(message['data'], ensure_ascii=False)}")
    if kind in ("joined", "reset", "message", "epoch"): since.update(at if kind != "epoch" else {"epoch": at["epoch"]})
    if kind == "joined": print(f"* in {room}")
    if kind == "error": print(f"* {frame['code']}: {frame['message']}")
    sys.stdout.flush()

async def session(typed):
    async with websockets.connect(url, subprotocols=["roomcast.v1"]) as socket:
        async def say(frame): await socket.send(json.dumps(frame))
        await say([{"type": "hello", "user": user}, {"type": "join", "id": 1, "room": room, **({"since": since} if since else {})}])
        typed[:] = [lambda line: asyncio.ensure_future(say({"type": "publish", "room": room, "data": line}))]
        async for text in socket:
            show(json.loads(text))
            if '"type":"error"' in text and '"id":1' in text: return  # not joined: once more, from the start

async def main(typed=[lambda line: print("* not sent", flush=True)]):
    loop = asyncio.get_running_loop()
    read = lambda: [loop.call_soon_threadsafe(lambda text=line.rstrip("\n"): typed[0](text)) for line in sys.stdin]
    threading.Thread(target=read, daemon=True).start()
    while True:
        try: await session(typed)
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error: print(f"* {error}", flush=True)
        await asyncio.sleep(random.uniform(0.5, 2.5))  # not all clients at once

asyncio.run(main())
