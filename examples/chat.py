# A room in the terminal, in Python with `websockets`: python3 examples/chat.py [url] [room] [user]
# It prints what is said, says what is typed, and after a lost connection prints exactly what it missed.
import asyncio, json, os, random, sys, threading, time, uuid
import websockets  # Debian and Ubuntu: python3-websockets

url, room, user = (sys.argv[1:] + ["ws://127.0.0.1:8080/ws", "lobby", "python"][len(sys.argv) - 1 :])[:3]
unconfirmed = {}  # key -> publish, in the order typed, until its `ok` came
position = None  # {"epoch", "seq"} of the last message printed: what the next join gives back as `since`
outgoing, failures, back_at = asyncio.Queue(), 0, None  # back_at: when a server that says goodbye wants us back


def show(message):
    data = json.dumps(message["data"], ensure_ascii=False)
    print(f"#{message['seq']} {message.get('from', {}).get('user')}: {data}", flush=True)


def handle(frame):
    """Returns whether the connection is still good."""
    global position, failures, back_at
    kind = frame["type"]
    if "reason" in frame:  # messages are gone (`joined` with recovered: false, `reset`), or we are sent away
        print(f"* {kind}: {frame['reason']}", flush=True)
    if kind == "joined":
        for message in frame["messages"]:  # after `since`: exactly what we missed
            show(message)
        print(f"* in {room}", flush=True)
        failures = 0
    if kind == "message":
        show(frame)
        position["seq"] = frame["seq"]
    if kind in ("joined", "reset"):
        position = {"epoch": frame["epoch"], "seq": frame["seq"]}
    if kind == "epoch":  # nothing is gone: the numbers go on under a new name
        position["epoch"] = frame["epoch"]
    if kind == "closing" and frame["reconnect"] == "never":
        os._exit(1)  # at once, though the thread still reads
    if kind == "closing" and "afterMs" in frame:
        back_at = time.monotonic() + frame["afterMs"] / 1000
    if kind == "error":
        print(f"* {frame['code']}: {frame['message']}", flush=True)
        if frame["retryable"] or frame["code"] == "not_joined":
            return False  # what may work later is tried again from the start, later each time
    if kind in ("ok", "error"):
        unconfirmed.pop(frame.get("id"), None)
    return True


async def speak(socket, frames):
    while True:
        await socket.send(json.dumps(await frames.get()))


async def session():
    global outgoing
    # The library pings every 20 s and so notices a link that died in silence. A `joined` may exceed a MiB.
    async with websockets.connect(url, subprotocols=["roomcast.v1"], max_size=8 << 20) as socket:
        outgoing = asyncio.Queue()
        join = {"type": "join", "id": "join", "room": room, **({"since": position} if position else {})}
        # The unconfirmed go under their old keys: what is stored already is not stored twice.
        for frame in [{"type": "hello", "user": user}, join, *unconfirmed.values()]:
            outgoing.put_nowait(frame)
        speaking = asyncio.create_task(speak(socket, outgoing))
        try:
            async for text in socket:
                if not handle(json.loads(text)):
                    return
        finally:
            speaking.cancel()


def typed(line):
    # A frame that is too large ends the connection, and so it would each time it is said again.
    if len(json.dumps(line)) > 30_000:
        return print("* too long", flush=True)
    key = uuid.uuid4().hex
    unconfirmed[key] = {"type": "publish", "id": key, "room": room, "data": line, "key": key}
    outgoing.put_nowait(unconfirmed[key])


async def main():
    global failures, back_at
    loop = asyncio.get_running_loop()
    read = lambda: [loop.call_soon_threadsafe(typed, line.rstrip("\n")) for line in sys.stdin]
    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            await session()
        except (OSError, asyncio.TimeoutError, websockets.WebSocketException) as error:
            print(f"* {error}", flush=True)
        wait = back_at - time.monotonic() if back_at else random.uniform(0, min(30, 2**failures))
        failures, back_at = failures + 1, None
        await asyncio.sleep(max(0, wait))


asyncio.run(main())
