/** Threads of direct messages without a browser: what the page marks as read, and when. */
import { expect, test } from 'vitest';
import type { Client } from '../../src/client/api.ts';
import { Emitter } from '../../src/client/emitter.ts';
import { DirectMessages } from '../../src/admin/demo/model/direct-messages.ts';
import type { Me } from '../../src/admin/demo/model/profile.ts';

class Inbox extends Emitter<{ message: object; reset: object }> {
  readonly marks: number[] = [];
  read(seq: number): Promise<void> {
    this.marks.push(seq);
    return Promise.resolve();
  }
  from(user: string, seq: number, epoch: string): void {
    this.emit('message', { seq, epoch, ts: seq, from: { user }, data: { text: 'hi' } });
  }
}

test('after the inbox began anew its first messages are marked as read, however far the old one was', () => {
  const inbox = new Inbox();
  const client = Object.assign(new Emitter(), { inbox });
  const me = { profile: { user: 'ann', name: 'Ann' } } as Me;
  const direct = new DirectMessages(client as unknown as Client, me);
  for (let seq = 1; seq <= 5; seq += 1) inbox.from('bob', seq, 'e.1');
  direct.seen('bob');
  inbox.emit('reset', { reason: 'lost', position: { epoch: 'f.1', seq: 0 } });
  inbox.from('bob', 1, 'f.1');
  direct.seen('bob');
  expect(inbox.marks).toEqual([5, 1]);
});

test('what was lost unread marks nothing of the stream that follows', () => {
  const inbox = new Inbox();
  const client = Object.assign(new Emitter(), { inbox });
  const me = { profile: { user: 'ann', name: 'Ann' } } as Me;
  const direct = new DirectMessages(client as unknown as Client, me);
  inbox.from('bob', 1, 'e.1');
  inbox.emit('reset', { reason: 'lost', position: { epoch: 'f.1', seq: 0 } });
  direct.seen('bob');
  expect(inbox.marks).toEqual([]);
});
