import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../src/core/single-flight.ts';
import { gate } from '../support/gate.ts';

describe('single flight', () => {
  it('asks once for all who ask meanwhile', async () => {
    const flights = new SingleFlight<number>();
    const landing = gate();
    let asked = 0;
    const ask = async () => {
      asked += 1;
      await landing.opened;
      return asked;
    };
    const answers = [flights.run(['q'], ask), flights.run(['q'], ask), flights.run(['q'], ask)];
    landing.open();
    expect(await Promise.all(answers)).toEqual([1, 1, 1]);
  });

  it('asks again once the answer is there: an answer is never kept', async () => {
    const flights = new SingleFlight<number>();
    let asked = 0;
    const ask = async () => ++asked;
    expect(await flights.run(['q'], ask)).toBe(1);
    expect(await flights.run(['q'], ask)).toBe(2);
  });

  it('keeps questions apart', async () => {
    const flights = new SingleFlight<string>();
    const answers = ['a', 'b'].map((key) => flights.run([key], async () => key));
    expect(await Promise.all(answers)).toEqual(['a', 'b']);
  });

  it('keeps questions apart, whatever their parts contain, and shares what is the same', async () => {
    // Of two users `u` and `u b` one could ask with an epoch that made their questions one text.
    const separators = fc.constantFrom('u', ' ', ',', '"', '\\');
    const part = fc.oneof(
      { weight: 6, arbitrary: fc.string({ unit: separators, maxLength: 3 }) },
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.constantFrom('\ud800', '\ufffd', '1', 1),
    );
    const question = fc.array(part, { minLength: 2, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.array(question, { minLength: 20, maxLength: 40 }), async (questions) => {
        const flights = new SingleFlight<readonly (string | number)[]>();
        const answers = await Promise.all(questions.map((asked) => flights.run(asked, async () => asked)));
        expect(answers).toEqual(questions);
        const [again, first] = await Promise.all([
          flights.run([...(questions[0] ?? [])], async () => [1]),
          flights.run([...(questions[0] ?? [])], async () => [2]),
        ]);
        expect([again, first]).toEqual([[1], [1]]);
      }),
      { numRuns: 500 },
    );
  });

  it('tells a failure to all who asked, and asks anew afterwards', async () => {
    const flights = new SingleFlight<string>();
    const ask = () => Promise.reject(new Error('away'));
    const answers = await Promise.allSettled([flights.run(['q'], ask), flights.run(['q'], ask)]);
    expect(answers.map((answer) => answer.status)).toEqual(['rejected', 'rejected']);
    expect(await flights.run(['q'], async () => 'back')).toBe('back');
  });
});
