import { expect, test } from 'vitest';
import { Emitter } from '../../src/client/emitter.ts';

test('a listener that is added during an event hears nothing of that event', () => {
  const emitter = new Emitter<{ change: number }>();
  const heard: string[] = [];
  emitter.on('change', (n) => {
    heard.push(`first ${n}`);
    if (n === 1) emitter.on('change', (m) => heard.push(`second ${m}`));
  });
  emitter.emit('change', 1);
  emitter.emit('change', 2);
  expect(heard).toEqual(['first 1', 'first 2', 'second 2']);
});

test('who subscribes anew with each event hears each once, and the event ends', () => {
  const emitter = new Emitter<{ change: number }>();
  const heard: number[] = [];
  const arm = (): void => {
    const off = emitter.on('change', (n) => {
      heard.push(n);
      if (heard.length > 100) throw new Error('without an end');
      off();
      arm();
    });
  };
  arm();
  for (const n of [1, 2, 3]) emitter.emit('change', n);
  expect(heard).toEqual([1, 2, 3]);
});

test('who unsubscribes another during an event spares it that event', () => {
  const emitter = new Emitter<{ change: number }>();
  const heard: string[] = [];
  emitter.on('change', () => emitter.on('change', () => undefined));
  emitter.on('change', () => off());
  const off = emitter.on('change', () => heard.push('second'));
  emitter.emit('change', 1);
  expect(heard).toEqual([]);
});
