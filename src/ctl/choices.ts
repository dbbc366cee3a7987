/**
 * The words that options accept. They stand in a file of their own, so that the command line can be
 * read without loading the code of the commands.
 */
export const ROLES = ['leader', 'primary', 'standby-leader', 'replica', 'standby', 'any'] as const;
export type RoleChoice = (typeof ROLES)[number];

export const FORMATS = ['pretty', 'tsv', 'json', 'yaml', 'yml'] as const;
export type Format = (typeof FORMATS)[number];
