/** A promise that a test opens by hand: what stands behind it waits exactly until the test says so. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** Promise hops enough for any chain of ours that waits for nothing but promises. */
const HOPS = 60;

/** Lets everything run that waits only for promises already settled. */
export async function settle(): Promise<void> {
  for (let hop = 0; hop < HOPS; hop += 1) await Promise.resolve();
}
