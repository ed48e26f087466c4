# Some thirty lines that join, say and resume, in Python with `websockets`: python3 examples/short.py [url] [room] [user]
import asyncio, json, os, random, sys, threading, time
import websockets  # Debian and Ubuntu: python3-websockets

url, room, user = (sys.argv[1:] + ["ws://127.0.0.1:8080/ws", "lobby", "python"][len(sys.argv) - 1 :])[:3]
since = {}  # the position of the last message printed: what the next join gives back
goodbye = {}  # what `closing` told: whether to come back, and when

def show(frame):
    kind, at = frame["type"], {key: frame[key] for key in ("epoch", "seq") if key in frame}
    if kind == "closing": goodbye.update(frame, at=time.monotonic() + frame.get("afterMs", 0) / 1000)
    if "reason" in frame: print(f"* {kind}: {frame['reason']}")  # messages are gone, or the server says goodbye
    for message in frame.get("messages", []) + ([frame] if kind == "message" else []):
        print(f"#{message['seq']} {message.get('from', {}).get('user')}: {json.dumps(message['data'], ensure_ascii=False)}")
    if kind in ("joined", "reset", "message", "epoch"): since.update(at if kind != "epoch" else {"epoch": at["epoch"]})
    if kind == "joined": print(f"* in {room}")
    if kind == "error": print(f"* {frame['code']}: {frame['message']}")
    sys.stdout.flush()

async def session(typed):
    # A `joined` may be larger than the MiB that the library takes by itself.
    async with websockets.connect(url, subprotocols=["roomcast.v1"], max_size=8 << 20) as socket:
        async def say(frame): await socket.send(json.dumps(frame))
        await say([{"type": "hello", "user": user}, {"type": "join", "id": 1, "room": room, **({"since": since} if since else {})}])
        typed[:] = [lambda line: asyncio.ensure_future(say({"type": "publish", "room": room, "data": line}))]
        async for text in socket:
            show(frame := json.loads(text))
            if frame["type"] == "error" and frame.get("id") == 1: return  # not joined: once more, from the start

async def main(typed=[lambda line: print("* not sent", flush=True)]):
    loop = asyncio.get_running_loop()
    read = lambda: [loop.call_soon_threadsafe(lambda text=line.rstrip("\n"): typed[0](text)) for line in sys.stdin]
    threading.Thread(target=read, daemon=True).start()
    while goodbye.get("reconnect") != "never":
        goodbye.clear()
        try: await session(typed)
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error: print(f"* {error}", flush=True)
        early = max(0, goodbye.get("at", 0) - time.monotonic())
        await asyncio.sleep(early + random.uniform(0.5, 2.5))  # not all clients at once
    os._exit(print("* not coming back", flush=True) or 1)  # at once, though the thread still reads

asyncio.run(main())
