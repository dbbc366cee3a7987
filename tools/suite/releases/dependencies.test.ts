import { describe, expect, it } from 'vitest';
import { closure, parseDependencies } from './dependencies.ts';

const TEXT = `postgresql-17
 |Depends: locales
  Depends: locales-all
  Depends: postgresql-common
  PreDepends: libssl3t64
  Depends: <libicu>
    libicu76
  Depends: libllvm19
  Depends: python3:any
libssl3t64
  Depends: libc6
libc6
  Depends: libgcc-s1
libgcc-s1
  Depends: libc6
python3
libllvm19
locales
postgresql-common
`;

describe('packages of another release', () => {
  const dependencies = parseDependencies(TEXT);

  it('takes the first of alternatives and the name without architecture', () => {
    expect(dependencies.get('postgresql-17')).toEqual(['locales', 'postgresql-common', 'libssl3t64', 'libicu', 'libllvm19', 'python3']);
  });

  it('follows libraries and Python, in circles too, and nothing else', () => {
    expect(closure(['postgresql-17'], dependencies)).toEqual(['postgresql-17', 'libssl3t64', 'python3', 'libc6', 'libgcc-s1']);
  });
});
