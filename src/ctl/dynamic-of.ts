/** The dynamic settings as agents read them from the same key. What is wrong takes its default. */
import { resolveDynamic } from '../config/dynamic.ts';
import type { ClusterView } from '../core/cluster.ts';
import type { DynamicSettings } from '../core/settings.ts';

export const dynamicOf = (view: ClusterView): DynamicSettings => resolveDynamic(view.config?.data ?? {}).dynamic;
