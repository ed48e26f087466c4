/**
 * The access port: who a connection is and what it may do. Use cases ask it
 * before they act; they never look at a token themselves. `openAccess` is what
 * runs where no authentication is configured: names are taken as given and
 * everything in a joined room is allowed.
 */
import type { Session } from '../core/session.ts';
import type { HelloFrame } from '../protocol/messages.ts';

export interface Identity {
  readonly user: string;
  /** False for a name the server made up for this connection alone. */
  readonly named: boolean;
}

export type Action = 'join' | 'publish' | 'signal' | 'state' | 'presence' | 'history' | 'send';

export interface Access {
  /** Throws a `Refusal` (`unauthorized`, `forbidden`) where the hello proves no identity. */
  identify(hello: HelloFrame, connection: string): Identity;
  permits(session: Session, action: Action, room: string): boolean;
}

const ANONYMOUS = /^anon-[0-9a-f-]{36}$/;

export const openAccess: Access = {
  identify(hello, connection) {
    const user = hello.user ?? `anon-${connection}`;
    return { user, named: !ANONYMOUS.test(user) };
  },
  permits: () => true,
};
