/**
 * From what a replica knows to what each member is told: full diffs, counts or
 * nothing, by what the member asked for, and never a frame older than what it
 * was given when it joined. It keeps nothing; when to tell is the relay's.
 */
import { textFrame } from '../core/frame.ts';
import type { Hub } from '../core/hub.ts';
import type { PresenceSnapshot } from '../core/member.ts';
import { merged, type PresenceSegment } from '../core/presence-replica.ts';
import type { Subscription } from '../core/session.ts';
import { presenceCountFrame, presenceDiffFrame, presenceSnapshotFrame } from '../protocol/encode.ts';
import type { Audience } from './batch.ts';
import type { FanOut } from './fan-out.ts';

export class PresenceFrames {
  readonly #hub: Hub;
  readonly #fanOut: FanOut;

  constructor(hub: Hub, fanOut: FanOut) {
    this.#hub = hub;
    this.#fanOut = fanOut;
  }

  /** The changes of a window that ended. `counting`: the room is too big to tell who. */
  tellWindow(room: string, segments: readonly PresenceSegment[], counting: boolean): void {
    const [first] = segments;
    if (!first || this.#hub.members(room).size === 0) return;
    const joinsOn = (segment: PresenceSegment, member: Subscription) =>
      segment.version >= member.presenceFrom;
    const whole = merged(segments);
    if (whole.length === segments.length) {
      for (const segment of segments) {
        this.#tellSegment(room, segment, counting, (member) => joinsOn(segment, member));
      }
      return;
    }
    // Who joined within the window was given a version within it, and goes on from there.
    const before = ({ presenceFrom }: Subscription) => presenceFrom <= first.previous;
    for (const segment of whole) this.#tellSegment(room, segment, counting, before);
    for (const segment of segments) {
      this.#tellSegment(room, segment, counting, (member) => !before(member) && joinsOn(segment, member));
    }
  }

  /** Everybody who is here, to every member. */
  tellSnapshot(room: string, { version, count, members }: PresenceSnapshot): void {
    if (this.#hub.members(room).size === 0) return;
    const counted = textFrame(presenceCountFrame(room, version, count));
    const snapshot = members ? textFrame(presenceSnapshotFrame(room, version, count, members)) : counted;
    this.#append(room, snapshot, 'full', (member) => version >= member.presenceFrom);
    this.#append(room, counted, 'count', (member) => version >= member.presenceFrom);
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

  #tellSegment(room: string, segment: PresenceSegment, counting: boolean, audience: Audience): void {
    const count = textFrame(presenceCountFrame(room, segment.version, segment.count));
    const diff = counting ? count : textFrame(presenceDiffFrame(room, segment));
    this.#append(room, diff, 'full', audience);
    if (segment.joined.size > 0 || segment.left.size > 0) this.#append(room, count, 'count', audience);
  }

  #append(room: string, frame: Buffer, mode: Subscription['presence'], audience: Audience): void {
    this.#fanOut.append(room, frame, {
      presence: true,
      audience: (member) => member.presence === mode && audience(member),
    });
  }
}
