/**
 * Reads a Markdown tutorial: its fenced blocks, under which heading and caption they stand, and the
 * commands a reader would type. Pure.
 */
import { isComplete } from './shell.ts';

export interface Block {
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** As written after the fence; empty where there is none. */
  readonly language: string;
  /** The nearest heading of level 2 or deeper. */
  readonly section: string;
  /** The bold line above the block; null when there is none of its own. */
  readonly caption: string | null;
  readonly text: string;
}

export interface Command {
  readonly line: number;
  /** As written, continuation lines and here-documents included. */
  readonly text: string;
  /** The comment lines right above, without their marks. */
  readonly says: readonly string[];
  /** What is typed at the prompt that the command opens. */
  readonly typed: readonly string[];
}

const FENCE = /^(`{3,})\s*(\S*)\s*$/;
const HEADING = /^#{2,}\s+(.*?)\s*$/;
const CAPTION = /^\*\*(.+?)\*\*(?:\s*\(.*\))?:?\s*$/;

/** Throws when a block is not closed. */
export function readBlocks(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  let section = '';
  let caption: string | null = null;
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!;
    const fence = FENCE.exec(line);
    if (fence !== null) {
      const end = lines.indexOf(fence[1]!, index + 1);
      if (end < 0) throw new Error(`the block that begins in line ${index + 1} has no end`);
      blocks.push({ line: index + 1, language: fence[2]!, section, caption, text: lines.slice(index + 1, end).join('\n') });
      caption = null;
      index = end;
      continue;
    }
    const heading = HEADING.exec(line);
    if (heading !== null) [section, caption] = [heading[1]!, null];
    else caption = CAPTION.exec(line)?.[1] ?? caption;
  }
  return blocks;
}

/**
 * A block that is a file of its own, to be saved and run whole; null for one that is typed line by
 * line.
 */
export function scriptOf(block: Block): { readonly name: string; readonly text: string } | null {
  if (!block.text.startsWith('#!')) return null;
  const name = /^#\s*(\S+\.sh)\s*$/m.exec(block.text)?.[1] ?? 'script.sh';
  return { name, text: `${block.text}\n` };
}

/** The commands of a block that is typed. Throws on one that does not end with the block. */
export function readCommands(block: Block): readonly Command[] {
  const lines = block.text.split('\n');
  const commands: Command[] = [];
  let says: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!;
    if (line.trim() === '') {
      says = [];
    } else if (line.startsWith('#')) {
      says.push(line.replace(/^#\s*/, ''));
    } else {
      const first = index;
      let text = line;
      while (!isComplete(text)) {
        index += 1;
        if (index >= lines.length) throw new Error(`the command in line ${block.line + 1 + first} does not end: ${line}`);
        text += `\n${lines[index]}`;
      }
      const typed = opensPrompt(text) ? lines.slice(index + 1).filter((one) => one.trim() !== '' && !one.startsWith('#')) : [];
      if (opensPrompt(text)) index = lines.length;
      commands.push({ line: block.line + 1 + first, text, says, typed });
      says = [];
    }
  }
  return commands;
}

/**
 * psql without a command talks with the user at its terminal, so the lines after it are for psql.
 */
function opensPrompt(text: string): boolean {
  return /^psql\b/.test(text) && !/\s-(c|f|l)\b|--(command|file|list)\b|[<|]/.test(text);
}
