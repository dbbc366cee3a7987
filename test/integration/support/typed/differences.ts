/** Every way in which our tool is allowed to differ from patronictl, and why it does. */

export const DIFFERENCES = {
  version: 'It speaks the dialect of 4.1.4, and says so, whatever release it is compared with.',
  'newer requests': 'It asks members as 4.1 does, whatever release it is compared with.',
  help: 'The help has its own words, and the commands and options that only Regent has.',
  'help needs no file': 'Help is shown, and a wrong option is named, whether or not the configuration can be read.',
  'cluster may be left out':
    'reload, restart, reinit, flush: without a cluster name the scope of the configuration is meant, as in other commands.',
  'older options': '--master of switchover and --leader of failover, which Patroni dropped, are still understood.',
  'exit code': 'It ends with 1 where the request was not carried out, or what was asked for does not exist.',
  'no configuration': 'Without an address of etcd every command says what to give; Patroni names the stores it could use.',
  'other stores': 'Regent keeps its state in etcd alone.',
  'own reasons': 'A member that cannot be asked is named with the cause, instead of a Python traceback or its library’s text.',
  'one line per row': 'In tsv a cell has no line break: one line is one row.',
  'IPv6 in brackets': 'An IPv6 address with a port stands in brackets, without which it cannot be read.',
  'members in a circle': 'topology also shows members that are to replicate from each other.',
  'no leader': 'Standard error says that nobody leads.',
  unavailable: 'A table for people shows who does not answer, and why.',
  'all names count': 'A name that is no member is refused, even beside one that is.',
  'reinit by name': 'reinit --force without a name is an error; Patroni does nothing and ends with 0.',
  skipped: 'restart --pending and --pg-version: a member that does not need it is skipped, not failed.',
  'asks once': 'reinit asks once whether to cancel what is in progress.',
  'pending question': 'The question before a scheduled restart --pending has its own words.',
  'result unknown': 'A switchover whose end is not known is called that, as in Patroni after 4.1.4.',
  'costs are told': 'Before it asks, standard error says what a change may cost, and how that is known.',
  'requested by': 'A request in etcd also says who made it, and when.',
  'parameters are asked about': 'edit-config asks a member whether PostgreSQL takes new parameters.',
  'bad settings': 'edit-config refuses a value that members could not use, and warns of keys they do not know.',
  'typing errors': 'A dotted key with an empty part, a key given twice and an empty file are refused.',
} as const;

export type Reason = keyof typeof DIFFERENCES;
