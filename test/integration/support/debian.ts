/**
 * A PostgreSQL as a distribution sets it up, without an agent. Its configuration is in a directory
 * of its own, and the superuser gets in by the operating system only.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { postgresOwner } from './bare-postgres.ts';
import { findBinDir } from './bin-dir.ts';
import { eventually } from './postgres.ts';

/** Known to the tests alone: as good as none to an agent. */
const SECRET = 'nobody-was-told';

interface Place {
  /** Everything of it lies there, its socket too; it is made if it is missing. */
  readonly directory: string;
  readonly dataDir: string;
  readonly port: number;
}

export class DebianServer {
  readonly place: Place;
  /** As /etc/postgresql/15/main. */
  readonly etc: string;
  readonly pidFile: string;

  constructor(place: Place) {
    this.place = place;
    this.etc = join(place.directory, 'etc', '15', 'main');
    this.pidFile = join(place.directory, '15-main.pid');
  }

  /** initdb, files moved away, conf.d. */
  create(): void {
    const { etc } = this;
    const { directory, dataDir, port } = this.place;
    const owner = postgresOwner();
    mkdirSync(directory, { recursive: true });
    chownSync(directory, owner.uid, owner.gid);
    const initdb = join(findBinDir(), 'initdb');
    const password = join(directory, 'initdb-password');
    writeFileSync(password, SECRET);
    chownSync(password, owner.uid, owner.gid);
    const args = ['-D', dataDir, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${password}`, '-k', '-N', '--locale=C'];
    execFileSync(initdb, args, { ...owner, cwd: directory, stdio: 'ignore' });
    mkdirSync(join(etc, 'conf.d'), { recursive: true });
    for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) renameSync(join(dataDir, name), join(etc, name));
    writeFileSync(
      join(etc, 'postgresql.conf'),
      [
        `data_directory = '${dataDir}'`,
        `hba_file = '${etc}/pg_hba.conf'`,
        `ident_file = '${etc}/pg_ident.conf'`,
        `external_pid_file = '${this.pidFile}'`,
        `unix_socket_directories = '${directory}'`,
        `listen_addresses = '127.0.0.1'`,
        `port = ${port}`,
        `shared_buffers = 20MB`,
        `dynamic_shared_memory_type = mmap`,
        `include_dir = 'conf.d'`,
        '',
      ].join('\n'),
    );
    writeFileSync(join(etc, 'conf.d', 'memory.conf'), 'work_mem = 3MB\n');
    this.letIn('local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256');
    for (const path of [join(directory, 'etc'), join(directory, 'etc', '15'), etc, join(etc, 'conf.d')])
      chownSync(path, owner.uid, owner.gid);
    for (const directoryOf of [etc, join(etc, 'conf.d')])
      for (const name of readdirSync(directoryOf)) chownSync(join(directoryOf, name), owner.uid, owner.gid);
  }

  letIn(...lines: readonly string[]): void {
    writeFileSync(join(this.etc, 'pg_hba.conf'), lines.map((line) => `${line}\n`).join(''));
  }

  /** As pg_ctlcluster does. */
  async start(): Promise<void> {
    const { directory, dataDir } = this.place;
    const args = ['-D', dataDir, '-c', `config_file=${this.etc}/postgresql.conf`, '-c', 'maintenance_work_mem=17MB'];
    spawn(join(findBinDir(), 'postgres'), args, { ...postgresOwner(), cwd: directory, stdio: 'ignore', detached: true }).unref();
    await eventually('the server to let its own in', 20_000, () =>
      this.sql('SELECT 1').then(
        () => true,
        () => false,
      ),
    );
  }

  /** As somebody who knows the password. */
  async sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.place.port,
      user: 'postgres',
      password: SECRET,
      database: 'postgres',
      query_timeout: 5000,
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }
}
