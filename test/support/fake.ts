/** Ports for tests: typed by the port, and loud where the code asks for more than was foreseen. */

/** A port of which a test foresees a few members; whatever else is called throws. */
export function fake<Port extends object>(foreseen: Partial<Port>): Port {
  const get = (target: Partial<Port>, key: string | symbol): unknown => {
    if (key in target) return Reflect.get(target, key);
    // A promise that resolves to the port looks for this one.
    if (key === 'then' || typeof key === 'symbol') return undefined;
    return () => {
      throw new Error(`the test did not foresee a call of ${key}`);
    };
  };
  return new Proxy(foreseen, { get }) as Port;
}
