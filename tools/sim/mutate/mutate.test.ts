import { describe, expect, it } from 'vitest';
import { at, type Edit, rule } from '../../../test/sim/zoo/edit.ts';
import { checkoutRoot } from '../../root.ts';
import { mutate } from './mutate.ts';
import { mutatedSources } from './sources.ts';

const FILE = 'f.ts';
const place = (name: string) => at(FILE, name);
/** Without white space, so that only the code counts. */
const mutated = async (text: string, edit: Edit) => (await mutate(FILE, text, edit)).text.replace(/\s+/g, '');
const same = (text: string) => text.replace(/\s+/g, '');

describe('finds a place by its name', () => {
  const text = `
    export const margins = (ttl: number) => ({ soon: ttl - 2, late: ttl - 1 }) as const;
    const limits = { soon: 1, deep: { soon: 2 } };
    class Guard { #arm(at: number): boolean { return at > 0; } get soon() { return 3; } }
    export async function arm(first: string) { const soon = first.length; return soon; }
    const table = [{ id: 'a.b', when: (n: number) => n > 1 }, { id: 'a.c', when: () => true }];`;

  it.each([
    [place('margins.soon').is('ttl'), 'soon: ttl - 2,', 'soon: (ttl),'],
    [place('limits.soon').is('9'), 'soon: 1,', 'soon: (9),'],
    [place('limits.deep.soon').is('9'), 'soon: 2 ', 'soon: (9) '],
    [place('arm.soon').is('0'), 'soon = first.length', 'soon = (0)'],
    [place('Guard.#arm').returns('true'), '{ return at > 0; }', '{ return (true); }'],
    [place('Guard.soon').returns('4'), '{ return 3; }', '{ return (4); }'],
    [place('margins').returns('null'), '({ soon: ttl - 2, late: ttl - 1 }) as const', '(null)'],
    [place('Guard.#arm').beginning('at += 1;'), '{ return at', '{ at += 1; return at'],
    [rule('a.b').when('() => false'), '(n: number) => n > 1', '(() => false)'],
    [rule('a.b').dropped(), "{ id: 'a.b', when: (n: number) => n > 1 },", ''],
    [rule('a.c').dropped(), ", { id: 'a.c', when: () => true }", ','],
    [rule('a.b').replacing('n > 1', 'n > 2'), 'n > 1', '(n > 2)'],
  ])('%j', async (edit, from, to) => {
    expect(await mutated(text, edit)).toBe(same(text.replace(from, to)));
  });

  it.each([
    ['margin', 'gone'],
    ['margins.soon.soon', 'gone'],
    ['Guard.arm', 'not private'],
    ['limits.arm', 'of something else'],
  ])('%s: %s', async (name) => {
    await expect(mutate(FILE, text, place(name).is('1'))).rejects.toMatchObject({
      code: 'MUTANT_STALE',
      message: expect.stringContaining(name),
    });
  });

  it('refuses a name that two things in a function have', async () => {
    await expect(mutate(FILE, 'function f() { { const a = 1; } return { a: 2 }; }', place('f.a').is('1'))).rejects.toMatchObject({
      code: 'MUTANT_STALE',
    });
  });
});

describe('finds code by how it parses', () => {
  const f = place('f');
  const text = `
    function f(a: string, b: boolean) {
      // why
      let n: number | null = 1;
      if (!b) return write(a, n, 'long text');
      else n = ( 2 );
      this.#send("it" , a);
      for (const one of [a]) n += 1;
      return b && (n > 1 || n < 0) && a !== 'x' ? [a, ...(b ? [n] : [])] : null;
    }`;

  it.each([
    [f.replacing('let n = 1', 'let n = 2;'), 'let n: number | null = 1;', 'let n = 2;'],
    [f.without('if (!b) return $; else n = 2'), /if .*\n.*;/, '{}'],
    [f.replacing('write(a, $$)', 'a'), "write(a, n, 'long text')", '(a)'],
    [f.replacing('n = 2', 'return 3'), 'n = ( 2 );', 'return 3;'],
    [f.without("this.#send('it', a)"), 'this.#send("it" , a);', '{}'],
    [f.without('n += 1'), 'n += 1;', '{}'],
    [f.without("a !== 'x'"), "b && (n > 1 || n < 0) && a !== 'x'", '(b && (n > 1 || n < 0))'],
    [f.without('n > 1 || n < 0'), 'b && (n > 1 || n < 0)', '(b)'],
    [f.after('let n = $', 'n = 5;'), '= 1;', '= 1; n = 5;'],
    [f.before('this.#send($$)', 'n = 5;'), 'this.#send(', 'n = 5; this.#send('],
    [f.moving('let n = 1', { after: 'this.#send($$)' }), 'x', 'x'],
  ])('%j', async (edit, from, to) => {
    const changed = mutated(text, edit);
    if (edit.change.kind === 'move') expect(await changed).toContain(same('this.#send("it" , a); let n: number | null = 1; for'));
    else if (to === '')
      await expect(changed).rejects.toMatchObject({ code: 'MUTANT_STALE', message: expect.stringContaining('times instead of once: b') });
    else expect(await changed).toBe(same(text.replace(from, to)));
  });

  it('tells what is not there any more, and what the mutant puts there that is no code', async () => {
    await expect(mutate(FILE, text, f.without('unheard()'))).rejects.toMatchObject({
      code: 'MUTANT_STALE',
      message: 'f in f.ts: found 0 times instead of once: unheard()',
      mend: expect.stringContaining('test/sim/zoo/'),
    });
    await expect(mutate(FILE, text, f.without('b'))).rejects.toMatchObject({
      code: 'MUTANT_STALE',
      message: expect.stringMatching(/found \d times instead of once: b$/),
    });
    await expect(mutate(FILE, text, f.returns('a ||'))).rejects.toMatchObject({ code: 'MUTANT_BROKEN' });
    await expect(mutate(FILE, text, f.replacing('n >', 'a'))).rejects.toMatchObject({ code: 'MUTANT_BROKEN' });
  });
});

describe('in the sources of this checkout', () => {
  const changed = (edit: Edit) => mutatedSources(checkoutRoot(), [edit]);
  const margins = (name: string) => at('src/core/settings.ts', name);

  it('finds a rule in whichever file it stands', async () => {
    expect([...(await changed(rule('race.diverged').dropped())).keys()]).toEqual(['src/core/race/entry.ts']);
    expect([...(await changed(rule('mend.rewind').dropped())).keys()]).toEqual(['src/core/rules/mend.ts']);
    await expect(changed(rule('race.nobody').dropped())).rejects.toMatchObject({ code: 'MUTANT_STALE' });
  });

  it('knows the names of the file and of what it imports, and no others', async () => {
    const returning = (code: string) => changed(at('src/core/let-go.ts', 'isLetGo').returns(code));
    await expect(returning('c.o.nowMs > 0 && [1].some((one) => one > 1)')).resolves.toBeDefined();
    await expect(returning('c.o.newMs > 0')).rejects.toMatchObject({ code: 'MUTANT_STALE', message: expect.stringContaining('newMs') });
    // Another function there has a local of that name.
    await expect(returning('since > 0')).rejects.toMatchObject({ code: 'MUTANT_STALE', message: expect.stringContaining('since') });
  });

  it('knows the fields that an earlier change of the same mutant brings along', async () => {
    const use = at('src/core/let-go.ts', 'isLetGo').returns('c.asleep > 0');
    const make = at('src/core/context.ts', 'contextOf').beginning('m.asleep = 1;');
    await expect(mutatedSources(checkoutRoot(), [make, use])).resolves.toBeDefined();
    await expect(mutatedSources(checkoutRoot(), [use])).rejects.toMatchObject({ code: 'MUTANT_STALE' });
  });

  it('tells of a file that is gone', async () => {
    await expect(changed(at('src/core/gone.ts', 'f').is('1'))).rejects.toMatchObject({ code: 'MUTANT_STALE' });
    await expect(changed(margins('leaseMargins.guardMs').is('1'))).resolves.toBeDefined();
  });
});
