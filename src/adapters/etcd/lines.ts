/** Cuts a stream of text into lines, wherever the chunks were cut. */

/**
 * One watch message holds at most a few events; etcd cuts larger ones. Beyond this the other side
 * does not speak the protocol.
 */
const LINE_MAX_CHARS = 64 * 1024 * 1024;

/**
 * Returns how to feed it. Calls back with every complete line that is not blank. Throws RangeError
 * when a line does not end.
 */
export function lineSplitter(onLine: (line: string) => void): (text: string) => void {
  let pending: string[] = [];
  let length = 0;
  return (text) => {
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      const line = pending.join('') + text.slice(from, end);
      pending = [];
      length = 0;
      from = end + 1;
      if (line.trim() !== '') onLine(line);
    }
    if (from === text.length) return;
    pending.push(text.slice(from));
    length += text.length - from;
    if (length > LINE_MAX_CHARS) throw new RangeError(`a line of more than ${LINE_MAX_CHARS} characters`);
  };
}
