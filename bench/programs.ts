/** The real programs that a benchmark or a chaos run takes. */
import { defaultSurvey, type Programs, surveyPrograms } from '../src/demo/programs.ts';
import { RegentError } from '../src/support/errors.ts';

/** Throws PROGRAMS_MISSING, with what to install. */
export async function findPrograms(): Promise<Programs> {
  const { found, missing } = await surveyPrograms(defaultSurvey(process.env));
  const { postgresBin, postgresVersion, etcd, haproxy } = found;
  if (postgresBin !== undefined && postgresVersion !== undefined && etcd !== undefined && haproxy !== undefined) {
    return { postgresBin, postgresVersion, etcd, haproxy };
  }
  throw new RegentError('PROGRAMS_MISSING', missing.map((program) => `${program.what}: ${program.reason}`).join('; '), {
    mend: `as root: apt-get install ${missing.flatMap((program) => program.debianPackages).join(' ')}`,
  });
}
