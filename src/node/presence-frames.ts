/**
 * From what a replica knows to what each member is told: full diffs, counts or
 * nothing, by what the member asked for, and never a frame older than what it
 * was given when it joined. It keeps nothing; when to tell is the relay's.
 */
import { textFrame } from '../core/frame.ts';
import type { Hub } from '../core/hub.ts';
import type { PresenceSnapshot } from '../core/member.ts';
import { merged, type PresenceSegment } from '../core/presence-replica.ts';
import type { PresenceMode, Subscription } from '../core/session.ts';
import { presenceCountFrame, presenceDiffFrame, presenceSnapshotFrame } from '../protocol/encode.ts';
import type { Audience } from './batch.ts';
import type { FanOut } from './fan-out.ts';

export class PresenceFrames {
  readonly #hub: Hub;
  readonly #fanOut: Pick<FanOut, 'append'>;

  constructor(hub: Hub, fanOut: Pick<FanOut, 'append'>) {
    this.#hub = hub;
    this.#fanOut = fanOut;
  }

  /** The changes of a window that ended. `counting`: the room is too big to tell who. */
  tellWindow(room: string, segments: readonly PresenceSegment[], counting: boolean): void {
    const last = segments.at(-1);
    if (!last) return;
    const asked = this.#askedFor(room);
    if (asked.has('count') || (counting && asked.has('full')))
      this.#tellCount(room, segments, last, counting);
    if (!counting && asked.has('full')) this.#tellDiffs(room, segments);
  }

  /** Everybody who is here, to every member. */
  tellSnapshot(room: string, { version, count, members }: PresenceSnapshot): void {
    const asked = this.#askedFor(room);
    if (asked.size === 0) return;
    const counted = textFrame(presenceCountFrame(room, version, count));
    const audience = ({ presenceFrom }: Subscription) => version >= presenceFrom;
    if (asked.has('full')) {
      const whole = members ? textFrame(presenceSnapshotFrame(room, version, count, members)) : counted;
      this.#append(room, whole, 'full', audience);
    }
    if (asked.has('count')) this.#append(room, counted, 'count', audience);
  }

  /** Everybody who is here, to one member. */
  tellOne(subscription: Subscription, { version, count, members }: PresenceSnapshot): void {
    const { session, room, presence } = subscription;
    const listed = presence === 'full' && members !== undefined;
    const frame = listed
      ? presenceSnapshotFrame(room, version, count, members)
      : presenceCountFrame(room, version, count);
    subscription.presenceFrom = version;
    session.connection.send(frame);
  }

  /**
   * One frame for everybody, whenever they joined: a count is where the room is and not a step from where it was.
   * One for each step would have every member looked at for every joiner of a storm.
   */
  #tellCount(
    room: string,
    segments: readonly PresenceSegment[],
    { version, count }: PresenceSegment,
    counting: boolean,
  ): void {
    if (segments.every(({ joined, left }) => joined.size === 0 && left.size === 0)) return;
    const frame = textFrame(presenceCountFrame(room, version, count));
    const audience = ({ presenceFrom }: Subscription) => version >= presenceFrom;
    this.#append(room, frame, 'count', audience);
    if (counting) this.#append(room, frame, 'full', audience);
  }

  #tellDiffs(room: string, segments: readonly PresenceSegment[]): void {
    const [first] = segments;
    if (!first) return;
    const joinsOn = (segment: PresenceSegment, member: Subscription) =>
      segment.version >= member.presenceFrom;
    const whole = merged(segments);
    if (whole.length === segments.length) {
      for (const segment of segments) this.#tellDiff(room, segment, (member) => joinsOn(segment, member));
      return;
    }
    // Who joined within the window was given a version within it, and goes on from there.
    const before = ({ presenceFrom }: Subscription) => presenceFrom <= first.previous;
    for (const segment of whole) this.#tellDiff(room, segment, before);
    for (const segment of segments) {
      this.#tellDiff(room, segment, (member) => !before(member) && joinsOn(segment, member));
    }
  }

  #tellDiff(room: string, segment: PresenceSegment, audience: Audience): void {
    this.#append(room, textFrame(presenceDiffFrame(room, segment)), 'full', audience);
  }

  #append(room: string, frame: Buffer, mode: PresenceMode, audience: Audience): void {
    this.#fanOut.append(room, frame, {
      presence: true,
      audience: (member) => member.presence === mode && audience(member),
    });
  }

  /** What the members want to be told: frames that nobody wants are not made, nor is each member asked for each of them. */
  #askedFor(room: string): ReadonlySet<PresenceMode> {
    const asked = new Set<PresenceMode>();
    for (const { presence } of this.#hub.members(room)) {
      if (presence !== 'none') asked.add(presence);
      if (asked.size === 2) break;
    }
    return asked;
  }
}
