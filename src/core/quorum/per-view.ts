/**
 * A view is judged by many rules of a round, and by the beats between two rounds. So what follows
 * from it and the settings is put together once for each.
 */
import type { ClusterView } from '../cluster.ts';

/** The same pure function, which remembers its last answer about each view. */
export function perView<Settings, Answer>(judge: (view: ClusterView, dynamic: Settings) => Answer) {
  const known = new WeakMap<ClusterView, { readonly dynamic: Settings; readonly answer: Answer }>();
  return (view: ClusterView, dynamic: Settings): Answer => {
    const before = known.get(view);
    if (before?.dynamic === dynamic) return before.answer;
    const answer = judge(view, dynamic);
    known.set(view, { dynamic, answer });
    return answer;
  };
}
