/**
 * Command lines for people to copy: they name the demo's directory where it is not the one that is
 * looked in anyway.
 */
import { shellWord } from '../support/shell-words.ts';
import { CTL_FILE, defaultDirectory } from './place.ts';

const usual = (): string => defaultDirectory(process.env, process.getuid?.() ?? -1);

export function demoCommand(words: string, directory: string): string {
  const line = words === '' ? './regent demo' : `./regent demo ${words}`;
  return directory === usual() ? line : `${line} --dir ${shellWord(directory)}`;
}

export function ctlCommand(words: string, directory: string): string {
  return directory === usual() ? `./regentctl ${words}` : `./regentctl -c ${shellWord(`${directory}/${CTL_FILE}`)} ${words}`;
}
