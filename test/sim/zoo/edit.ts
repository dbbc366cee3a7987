/**
 * Changes of a source that hang on names: of a function, a constant, a property, a rule or a row of
 * a table. Lines may move and locals may be formatted again; the change still finds its place. When
 * the name is gone, MUTANT_STALE says which.
 *
 * Code that is looked for inside a function is compared as it parses, so white space, comments,
 * parentheses, quotes and types do not count. It must be there exactly once. In it, `$` matches any
 * one expression or statement, and `$$` all arguments or elements that follow.
 */

/** Where a change is made. */
export type Place =
  | {
      /** From the root of the checkout. */
      readonly file: string;
      /**
       * Names from the outside in, with dots between them: `Fence.#arm` is a method,
       * `leaseMargins.guardMs` a property or a local of a function.
       */
      readonly name: string;
    }
  | {
      /**
       * Of a rule in src/core/rules/, or of a row of a table there, in src/core/race/ or
       * src/core/quorum/.
       */
      readonly rule: string;
      readonly property?: string;
    };

export type Change =
  /** The value of a constant or a property. */
  | { readonly kind: 'value'; readonly code: string }
  /** All that a function does. */
  | { readonly kind: 'body'; readonly code: string }
  /** The rule or row, with all it has. */
  | { readonly kind: 'drop' }
  /** A statement inside, or one side of an `&&` or `||`. */
  | { readonly kind: 'omit'; readonly code: string }
  | { readonly kind: 'replace'; readonly code: string; readonly by: string }
  | { readonly kind: 'insert'; readonly code: string; readonly where: 'first' | { readonly after: string } | { readonly before: string } }
  | { readonly kind: 'move'; readonly code: string; readonly after: string };

export interface Edit {
  readonly place: Place;
  readonly change: Change;
}

const changesOf = (place: Place) => {
  const edit = (change: Change): Edit => ({ place, change });
  return {
    /** The constant or property has this value. */
    is: (code: string) => edit({ kind: 'value', code }),
    /** The function does nothing but answer this; its parameters keep their names. */
    returns: (code: string) => edit({ kind: 'body', code }),
    /** Leaves out a statement, or one side of an `&&` or `||`. */
    without: (code: string) => edit({ kind: 'omit', code }),
    replacing: (code: string, by: string) => edit({ kind: 'replace', code, by }),
    /** The function begins with this statement. */
    beginning: (code: string) => edit({ kind: 'insert', code, where: 'first' }),
    /** Puts a statement behind one that is there. */
    after: (there: string, code: string) => edit({ kind: 'insert', code, where: { after: there } }),
    /** Puts a statement before one that is there. */
    before: (there: string, code: string) => edit({ kind: 'insert', code, where: { before: there } }),
    /** The statement comes later: right behind the other. */
    moving: (code: string, { after }: { readonly after: string }) => edit({ kind: 'move', code, after }),
  };
};

/** The function, constant or property of this name in this file. */
export const at = (file: string, name: string) => changesOf({ file, name });

/** The rule, or the row of a table, with this id, in whichever file of the rules it stands. */
export const rule = (id: string) => ({
  ...changesOf({ rule: id }),
  dropped: (): Edit => ({ place: { rule: id }, change: { kind: 'drop' } }),
  /** It applies under this condition instead: a function, as code. */
  when: (code: string): Edit => changesOf({ rule: id, property: 'when' }).is(code),
});
