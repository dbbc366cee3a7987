import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { plain, runInTerminal } from './terminal.ts';

const place = { directory: tmpdir() };

describe('runInTerminal', () => {
  it('runs bash on a terminal, in the directory, and tells the exit code', async () => {
    const outcome = await runInTerminal({ ...place, env: { SAID: 'yes' } }, '[ -t 0 ] && [ -t 1 ] && pwd\n[[ $SAID == yes ]] && exit 7');
    expect(outcome).toMatchObject({ output: `${tmpdir()}\n`, code: 7 });
  });

  it('answers questions in order', async () => {
    const outcome = await runInTerminal(place, 'read -p "Name: " name; read -p "Sure? " sure; echo "$name $sure"', {
      dialogue: [
        { prompt: /Name: $/, answer: 'patroni2' },
        { prompt: /Sure\? $/, answer: 'y' },
      ],
    });
    expect(outcome.output).toBe('Name: patroni2\nSure? y\npatroni2 y\n');
  });

  it('reports a prompt that did not come', async () => {
    const dialogue = [{ prompt: /Never: $/, answer: '' }];
    await expect(runInTerminal(place, 'echo something else', { dialogue })).rejects.toThrow(/before it asked .*Never.*something else/s);
    await expect(runInTerminal(place, 'echo begun; read', { dialogue, timeoutMs: 300 })).rejects.toThrow(/has not asked .*Never.*begun/s);
  });

  it('ends a command that does not end', async () => {
    await expect(runInTerminal(place, 'echo begun; sleep 60', { timeoutMs: 300 })).rejects.toThrow(/has not ended.*begun/s);
  });

  it('shows text without colours', () => {
    expect(plain('\u001b[32mgreen\u001b[0m\r\n\u001b]0;title\u0007\u001b[?2004hnext\r\r\n')).toBe('green\nnext\n');
  });
});
