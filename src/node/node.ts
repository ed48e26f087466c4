/**
 * A node: hub, broker and presence store joined by the use cases. It knows no
 * socket library, no Redis and no HTTP; the composition root (server.ts) hands
 * it its ports, and the transport tells it of connections.
 */
import type { Broker, BrokerEvents, BrokerStatus } from '../broker/broker.ts';
import type { PresenceStore } from '../broker/presence.ts';
import type { Clock, Random, Timer } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';
import { Hub } from '../core/hub.ts';
import type { Logger } from '../core/logger.ts';
import type { PresenceSnapshot } from '../core/member.ts';
import type { Access } from './access.ts';
import { CatchUp, type CatchUpSettings } from './catch-up.ts';
import { ClosedSessions } from './closed-sessions.ts';
import { Dispatcher, type DispatchParts, type DispatchSettings } from './dispatch.ts';
import { type DrainSettings, drain } from './drain.ts';
import { FanOut, type FanOutSettings } from './fan-out.ts';
import { goodbye, type HelloParts, type HelloSettings, hello } from './hello.ts';
import { InboxJoins } from './inbox-join.ts';
import { type InterestSettings, RoomInterest } from './interest.ts';
import type { JoinSettings } from './join.ts';
import { Isolation, type IsolationSettings } from './isolation.ts';
import { LinkStatus } from './link-status.ts';
import { OutboxTotal } from './outbox-total.ts';
import { PresenceRelay, type PresenceRelaySettings } from './presence-relay.ts';
import { PresenceWriter, type PresenceWriterSettings } from './presence-writer.ts';
import { RateGate, type RateSettings } from './rate-gate.ts';
import { Recount } from './recount.ts';
import { Relay, type RelaySettings } from './relay.ts';
import { RoomRequests } from './room-requests.ts';
import { deliverSignal } from './signal.ts';
import { LargeReplies } from './large-replies.ts';
import { SlowConsumers, type SlowConsumerSettings } from './slow-consumers.ts';
import { Turn } from './turn.ts';

export interface NodeSettings
  extends CatchUpSettings,
    DispatchSettings,
    DrainSettings,
    FanOutSettings,
    HelloSettings,
    InterestSettings,
    IsolationSettings,
    JoinSettings,
    PresenceRelaySettings,
    PresenceWriterSettings,
    RateSettings,
    RelaySettings,
    SlowConsumerSettings {
  readonly limitOutboxTotalBytes: number;
}

export interface NodePorts {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  readonly access: Access;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly serverName: string;
  readonly settings: NodeSettings;
}

/** How often budgets are swept and silent rooms looked at. */
const SWEEP_MS = 5000;
/** How often slow consumers are judged. */
const SLOW_SWEEP_MS = 1000;

export class Node {
  readonly hub = new Hub();
  /** Connections are corked and uncorked by it. */
  readonly turn: Turn;
  /** Told by connections what their peers did not take. */
  readonly outbox: OutboxTotal;
  readonly #ports: NodePorts;
  readonly #fanOut: FanOut;
  readonly #relay: Relay;
  readonly #presence: PresenceRelay;
  readonly #writer: PresenceWriter;
  readonly #recount: Recount;
  readonly #status: LinkStatus;
  readonly #isolation: Isolation;
  readonly #rates: RateGate;
  readonly #replies: LargeReplies;
  readonly #slow: SlowConsumers;
  readonly #inboxes: InboxJoins;
  readonly #dispatch: DispatchParts;
  #sweeps: readonly Timer[] = [];

  constructor(ports: NodePorts) {
    const { broker, presence, clock, logger, random, settings } = ports;
    this.#ports = ports;
    this.turn = new Turn(clock);
    this.outbox = new OutboxTotal(settings.limitOutboxTotalBytes, this.turn, () => this.hub.sessions());
    this.#fanOut = new FanOut(this.hub, this.turn, clock, settings);
    const loaded = (room: string, snapshot: PresenceSnapshot) =>
      this.#writer.ledger.heardSnapshot(room, snapshot);
    this.#presence = new PresenceRelay(this.hub, this.#fanOut, presence, clock, logger, settings, loaded);
    this.#relay = new Relay(broker, this.hub, this.#fanOut, clock, logger, settings, {
      live: (room) => this.#status.live(room),
      presenceVersion: (room, version) => this.#presence.check(room, version),
    });
    this.#status = new LinkStatus(this.hub, this.#fanOut, this.turn, (room) => this.#relay.isLive(room));
    this.#isolation = new Isolation(this.hub, clock, random, logger, settings);
    this.#replies = new LargeReplies(clock, settings);
    this.#slow = new SlowConsumers({
      broker,
      clock,
      logger,
      settings,
      relay: this.#relay,
      presence: this.#presence,
      fanOut: this.#fanOut,
      outbox: this.outbox,
      replies: this.#replies,
      turn: this.turn,
    });
    this.#writer = new PresenceWriter(presence, clock, logger, settings);
    this.#recount = new Recount(this.hub, presence, logger);
    this.#rates = new RateGate(clock, settings);
    const interest = new RoomInterest(broker, clock, settings, [
      this.#relay,
      this.#presence,
      this.#fanOut,
      {
        follow: (room) => logger.debug({ room }, 'room heard'),
        unfollow: (room) => logger.debug({ room }, 'room no longer heard'),
      },
    ]);
    const catchUp = new CatchUp(broker, this.#relay, clock, settings);
    this.#inboxes = new InboxJoins({
      broker,
      interest,
      catchUp,
      clock,
      logger,
      hub: this.hub,
      fanOut: this.#fanOut,
      slow: this.#slow,
      replies: this.#replies,
      status: this.#status,
    });
    this.#dispatch = this.#compose(interest, catchUp);
  }

  start(): void {
    // Away until it is told otherwise.
    this.#isolation.change('down');
    this.#ports.broker.start(this.#brokerEvents());
    this.#ports.presence.start({ rebuild: () => this.#rebuild() });
    const { clock } = this.#ports;
    this.#sweeps = [
      clock.every(SLOW_SWEEP_MS, () => {
        this.#slow.sweep();
        this.#status.sweep();
      }),
      clock.every(SWEEP_MS, () => {
        this.#rates.sweep();
        this.#relay.checkSilentRooms();
      }),
    ];
  }

  /** A WebSocket was opened. Its text and its end are told to what this returns. */
  opened(connection: Connection): Dispatcher {
    return new Dispatcher(this.#dispatch, connection);
  }

  /** Whether new connections should come here: Redis is there, or none is used. */
  get ready(): boolean {
    return this.#status.isUp;
  }

  /** Tells every connection when to come back and closes each at its moment. */
  async drain(): Promise<void> {
    this.#isolation.stop();
    await drain(this.hub, this.#ports.clock, this.#ports.random, this.#ports.settings);
  }

  /** After the last connection: publishes under way finish, the lease is handed over. */
  async stop(): Promise<void> {
    for (const sweep of this.#sweeps) sweep.cancel();
    this.#isolation.stop();
    this.#writer.stop();
    await this.#ports.presence.stop();
    await this.#ports.broker.stop();
  }

  #compose(interest: RoomInterest, catchUp: CatchUp): DispatchParts {
    const { broker, presence, access, clock, logger, serverName, settings } = this.#ports;
    const rooms = {
      broker,
      access,
      interest,
      catchUp,
      logger,
      settings,
      hub: this.hub,
      fanOut: this.#fanOut,
      presence: this.#presence,
      writer: this.#writer,
      rates: this.#rates,
      replies: this.#replies,
      status: this.#status,
      relay: this.#relay,
    };
    const closed = new ClosedSessions(rooms, this.turn);
    const greeting: HelloParts = {
      access,
      clock,
      logger,
      serverName,
      settings,
      hub: this.hub,
      store: presence,
      writer: this.#writer,
      status: this.#status,
      inboxes: this.#inboxes,
    };
    return {
      clock,
      logger,
      settings,
      requests: new RoomRequests(rooms),
      hello: (connection, frame) => hello(greeting, connection, frame),
      goodbye: (session) => {
        closed.add(session);
        this.#status.forget(session);
        goodbye(greeting, session);
      },
    };
  }

  #brokerEvents(): BrokerEvents {
    return {
      message: (room, epoch, entry) => this.#relay.message(room, epoch, entry),
      presence: (room, change) => {
        if (change.kind === 'updated')
          this.#writer.ledger.heardState(room, change.member.user, change.member.state);
        this.#presence.change(room, change);
      },
      signal: (room, signal) => deliverSignal(this.#fanOut, room, signal),
      gap: (room) => {
        this.#relay.gap(room);
        this.#presence.suspect(room);
        this.#presence.mend(room, false);
      },
      linkLost: () => {
        this.#relay.linkLost();
        this.#presence.suspectAll();
      },
      subscribed: (room, sameStore) => {
        this.#relay.subscribed(room);
        this.#presence.mend(room, !sameStore);
      },
      status: (status) => this.#statusChanged(status),
    };
  }

  #statusChanged(status: BrokerStatus): void {
    this.#status.change(status);
    this.#isolation.change(status);
    if (status !== 'up') return;
    this.#writer.retryNow();
    this.#inboxes.retryNow();
  }

  /** The store may have forgotten this node: everybody who is here is said again. */
  async #rebuild(): Promise<void> {
    await this.#writer.rebuild();
    void this.#recount.run();
  }
}
