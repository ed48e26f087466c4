/** The wire of the frame blaster: it upgrades and sends, whatever it is told. */
import { NOTHING, type Wire } from './wire.ts';

export const blasterWire: Wire = {
  path: () => '/',
  probe: 'everything',
  joinsByUpgrade: true,
  opening: () => [],
  hear: () => NOTHING,
  publish: (_room, payload) => payload,
};
