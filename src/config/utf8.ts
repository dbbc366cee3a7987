/** The text of a file; or where it stops being UTF-8, and what it seems to be instead. */

export interface NotUtf8 {
  readonly line: number;
  readonly column: number;
  /** `0xfc` */
  readonly byte: string;
  readonly looksLike: 'UTF-16' | 'ISO-8859-1';
}

const LINE_FEED = 0x0a;

export function decodeUtf8(bytes: Uint8Array): string | NotUtf8 {
  try {
    return decode(bytes);
  } catch {
    return placeOf(bytes);
  }
}

const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

/** No byte of a longer character is a line feed, so each line can be looked at alone. */
function placeOf(bytes: Uint8Array): NotUtf8 {
  const looksLike = isUtf16(bytes) ? 'UTF-16' : 'ISO-8859-1';
  for (let line = 1, start = 0; ; line += 1) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found === -1 ? bytes.length : found;
    const good = goodLength(bytes.subarray(start, end));
    if (good !== null) {
      const byte = `0x${bytes[start + good]!.toString(16).padStart(2, '0')}`;
      return { line, column: decode(bytes.subarray(start, start + good)).length + 1, byte, looksLike };
    }
    start = end + 1;
  }
}

/** Of how many bytes the readable beginning is; null: all of it can be read. */
function goodLength(line: Uint8Array): number | null {
  for (let at = 0; at < line.length; ) {
    const length = [1, 2, 3, 4].find((size) => at + size <= line.length && isGood(line.subarray(at, at + size)));
    if (length === undefined) return at;
    at += length;
  }
  return null;
}

function isGood(bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function isUtf16(bytes: Uint8Array): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
}
