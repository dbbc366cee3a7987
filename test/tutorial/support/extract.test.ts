import { describe, expect, it } from 'vitest';
import { type Block, readBlocks, readCommands, scriptOf } from './extract.ts';

const MARKDOWN = `# Title

\`\`\`
a drawing
\`\`\`

## First things

**Begin** (with care):
\`\`\`bash
make
\`\`\`

\`\`\`yaml
key: '\`\`\` is no fence inside a line'
\`\`\`

### Later

Some **bold** words that are no caption.
\`\`\`bash
echo later
\`\`\`
`;

const bash = (text: string): Block => ({ line: 10, language: 'bash', section: '', caption: null, text });

describe('readBlocks', () => {
  it('tells language, section and caption of every block', () => {
    expect(readBlocks(MARKDOWN).map(({ text, ...rest }) => [rest.line, rest.language, rest.section, rest.caption, text])).toEqual([
      [3, '', '', null, 'a drawing'],
      [10, 'bash', 'First things', 'Begin', 'make'],
      [14, 'yaml', 'First things', null, "key: '``` is no fence inside a line'"],
      [21, 'bash', 'Later', null, 'echo later'],
    ]);
  });

  it('refuses a block without an end', () => {
    expect(() => readBlocks('## A\n```bash\nls\n')).toThrow('line 2');
  });
});

describe('readCommands', () => {
  it('keeps continuation lines and here-documents with their command, and the comment above it', () => {
    const commands = readCommands(
      bash(
        'cd somewhere\n\n# Look\n# closely\nls \\\n    -l\n\n# Not for the next one\n\npsql <<EOF\n# no comment\nselect 1;\nEOF\n# an end',
      ),
    );
    expect(commands).toEqual([
      { line: 11, text: 'cd somewhere', says: [], typed: [] },
      { line: 15, text: 'ls \\\n    -l', says: ['Look', 'closely'], typed: [] },
      { line: 20, text: 'psql <<EOF\n# no comment\nselect 1;\nEOF', says: [], typed: [] },
    ]);
  });

  it('gives the lines after an interactive psql to psql', () => {
    const [only, ...others] = readCommands(bash('psql -h localhost -U postgres\n\n# Verify\nSELECT 1;  -- one\nSELECT\n 2;'));
    expect(others).toEqual([]);
    expect(only?.typed).toEqual(['SELECT 1;  -- one', 'SELECT', ' 2;']);
  });

  it.each(['psql -c "SELECT 1;"', 'psql db -c \\\n  "SELECT 1;"', 'psql < file', 'psql -l', 'psql --file=x', 'echo psql'])(
    'reads what follows %j as a command',
    (text) => {
      expect(readCommands(bash(`${text}\nls`)).map((command) => command.text)).toEqual([text, 'ls']);
    },
  );

  it('refuses a command that does not end with its block', () => {
    expect(() => readCommands(bash('ls\nfor a in b; do'))).toThrow('line 12');
  });
});

describe('scriptOf', () => {
  it('knows a file by its first line, and its name by the second', () => {
    expect(scriptOf(bash('#!/bin/bash\n# health.sh\n\nls'))).toEqual({ name: 'health.sh', text: '#!/bin/bash\n# health.sh\n\nls\n' });
    expect(scriptOf(bash('# health.sh\nls'))).toBeNull();
  });
});
