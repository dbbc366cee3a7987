/**
 * A part of a URL with its escapes read. What is no escape stays as it is: passwords are pasted
 * into URLs as they are, and Patroni takes them.
 */
export function unescaped(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}
