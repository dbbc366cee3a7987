/** Names and places of the configuration file and of the one it includes. */
import type { Settings } from '../core/settings.ts';

/** What initdb and base backups call it. */
export const USUAL_CONF = 'postgresql.conf';

export const confName = ({ postgresql }: Settings): string => `${postgresql.configBaseName}.conf`;

export const baseConfName = ({ postgresql }: Settings): string => `${postgresql.configBaseName}.base.conf`;

export const confPath = (settings: Settings): string => `${settings.postgresql.configDir}/${confName(settings)}`;
