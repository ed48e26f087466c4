/** Whether a server kept up with what was asked of it. */
import type { Figures } from './scenario.ts';

/** More than this in time still counts: a percent may be on its way when the clock stops. */
const KEPT_UP_PERCENT = 99;

export function keptUp(figures: Figures): boolean {
  return (figures['inTimePercent'] ?? 0) >= KEPT_UP_PERCENT && figures['refused'] === 0;
}
