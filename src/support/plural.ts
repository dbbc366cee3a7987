/** `1 vote`, `2 votes`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** `b hears`, `b, c hear`: names and the verb that agrees with how many there are. */
export function agreeing(names: readonly string[], one: string, several: string): string {
  return `${names.join(', ')} ${names.length === 1 ? one : several}`;
}
