/** What is wrong with the members of a cluster taken together, in words for the operator. */
import type { Member } from './cluster.ts';
import { carriedClashes } from './server-names.ts';
import type { DynamicSettings } from './settings.ts';
import { slotNameClashes, slotNameOf } from './slot-names.ts';

type Named = Pick<Member, 'name' | 'version'>;

/** Empty when all is well. */
export function memberComplaints(
  members: readonly Named[],
  synchronousMode: 'off' | 'on' | 'quorum',
  slots: DynamicSettings['slots'] = {},
): readonly string[] {
  // Two members whose names make the same slot name would take each other's slot away.
  const clashes = slotNameClashes(members.map((member) => member.name)).map((names) => names.join(' and '));
  const shared = clashes.length === 0 ? [] : [`members share one replication slot name, rename all but one: ${clashes.join('; ')}`];
  const carried = carriedClashes(members.map((member) => member.name)).map((names) => names.join(' and '));
  if (carried.length > 0)
    shared.push(
      `PostgreSQL cuts names to 63 bytes of ASCII, so it cannot tell these members apart and waits for none of them, rename all but one: ${carried.join('; ')}`,
    );
  for (const { name } of members)
    if (slots[slotNameOf(name)]?.type === 'logical')
      shared.push(`the permanent logical slot ${slotNameOf(name)} has the name of ${name}’s own slot and is ignored: rename it in slots`);
  return [...shared, ...(synchronousMode === 'quorum' ? members.flatMap(quorumComplaint) : [])];
}

/**
 * Releases of Patroni before 4.0 (its release notes) read any other value than a boolean as off.
 */
const KNOWS_QUORUM = 4;

function quorumComplaint({ name, version }: Named): string[] {
  const major = Number(/^(\d+)\./.exec(version ?? '')?.[1] ?? Number.NaN);
  if (!(major < KNOWS_QUORUM)) return [];
  return [
    `${name} runs Patroni ${version}, which reads synchronous_mode: quorum as off: it may lead without acknowledged commits. ` +
      `Set synchronous_mode: on until no member is older than ${KNOWS_QUORUM}.0`,
  ];
}
