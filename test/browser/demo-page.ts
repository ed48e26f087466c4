/**
 * The demo page as a person uses it: found by what a person sees and a screen reader says, with waiting
 * instead of sleeping. Whatever the browser reports as an error is a failure of the test, and so is a
 * violation of the page's own policy.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

/** Git-ignored: what the last run saw, for people to look at. */
const ARTEFACTS = join(process.cwd(), 'test-results/demo');
const WAIT_MS = 15_000;

/** What a person may bring along. */
export interface Person {
  readonly name?: string;
  /** Instead of one that the page invents. */
  readonly user?: string;
  readonly options?: BrowserContextOptions;
}

export const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};
export const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };

export class DemoPage {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly errors: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    this.context = page.context();
    page.setDefaultTimeout(WAIT_MS);
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('console', (message) => {
      // A socket that cannot be opened is reported by the browser itself, and is what some tests are about.
      const expected = message.text().includes('WebSocket connection to');
      if (message.type() === 'error' && !expected) this.errors.push(message.text());
    });
  }

  /** A browser of their own: another person. Closed with the test, which then must have seen no error. */
  static async person(
    browser: Browser,
    url: string,
    { name, user, options }: Person = {},
  ): Promise<DemoPage> {
    const context = await browser.newContext({ ...DESKTOP, ...options });
    onTestFinished(() => context.close());
    if (user !== undefined) {
      await context.addInitScript(
        (profile) => {
          localStorage.setItem('roomcast.demo.profile', profile);
        },
        JSON.stringify({ user, name: name ?? user }),
      );
    }
    const demo = await DemoPage.tab(context, url);
    if (name !== undefined) await demo.rename(name);
    return demo;
  }

  /** One more tab of the same person. */
  static async tab(context: BrowserContext, url: string): Promise<DemoPage> {
    const demo = new DemoPage(await context.newPage());
    onTestFinished(() => expect(demo.errors).toEqual([]));
    await demo.page.goto(url);
    return demo;
  }

  get badge(): Locator {
    return this.page.locator('#badge');
  }

  get field(): Locator {
    return this.page.getByRole('textbox', { name: /^Message/ });
  }

  get notices(): Locator {
    return this.page.locator('.notice');
  }

  /** The texts of the messages, as they stand on the page from top to bottom. */
  async texts(): Promise<string[]> {
    return this.page.locator('.message .bubble').allTextContents();
  }

  async node(): Promise<string> {
    await this.connected();
    return (await this.page.locator('[data-fact=Node]').textContent()) ?? '';
  }

  async connected(): Promise<void> {
    await this.badgeSays(/^Connected to /);
  }

  async badgeSays(text: RegExp | string): Promise<void> {
    await this.badge.filter({ hasText: text }).waitFor();
  }

  async say(text: string): Promise<void> {
    await this.field.fill(text);
    await this.field.press('Enter');
  }

  async sees(text: string): Promise<void> {
    await this.page.locator('.message:not(.unsent) .bubble').getByText(text, { exact: true }).waitFor();
  }

  async notice(text: RegExp): Promise<void> {
    await this.notices.filter({ hasText: text }).first().waitFor();
  }

  /** The row of somebody in the list of people. */
  person(name: string): Locator {
    return this.page.locator('#people li').filter({ hasText: name });
  }

  async rename(name: string): Promise<void> {
    const field = this.page.locator('#my-name');
    await field.evaluate((element, value) => {
      // The field may be behind the button of a phone; what it does is the same.
      (element as HTMLInputElement).value = value;
      element.dispatchEvent(new Event('change', { bubbles: true }));
    }, name);
  }

  async open(hash: string): Promise<void> {
    await this.page.evaluate((value) => {
      location.hash = value;
    }, hash);
  }

  /** Kept in test-results/demo/. */
  async shoot(name: string): Promise<void> {
    mkdirSync(ARTEFACTS, { recursive: true });
    await this.page.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
  }
}

/** Polls until the value is right; the last one is what a failure shows. */
export async function eventually<Value>(read: () => Promise<Value>, right: (value: Value) => boolean) {
  const until = performance.now() + WAIT_MS;
  for (;;) {
    const value = await read();
    if (right(value)) return value;
    if (performance.now() > until) throw new Error(`waited for another value than ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
