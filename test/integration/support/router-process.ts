/** `regent router` by itself, to be killed (test/integration/router.test.ts bundles it). */
import { routerMain } from '../../../src/router/main.ts';

process.exitCode = await routerMain(process.argv.slice(2));
