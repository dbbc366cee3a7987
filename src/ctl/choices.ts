/**
 * The words that options accept. They stand in a file of their own, so that the command line can be
 * read without loading the code of the commands.
 */
export const ROLES = ['leader', 'primary', 'standby-leader', 'replica', 'standby', 'any'] as const;
export type RoleChoice = (typeof ROLES)[number];

export const FORMATS = ['pretty', 'tsv', 'json', 'yaml', 'yml'] as const;
export type Format = (typeof FORMATS)[number];

/** How members are shown: `topology` is a tree for people. */
export type MembersFormat = Format | 'topology';
export type MachineFormat = Exclude<Format, 'pretty'>;

/** Programs read it, so it stays as Patroni has it. */
export const isMachine = (format: MembersFormat): format is MachineFormat => format !== 'pretty' && format !== 'topology';
