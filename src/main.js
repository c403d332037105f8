#!/usr/bin/env node
// Plain JavaScript, so that a Node too old to read TypeScript still says what is wrong.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 15)) {
  const { runCommandLine } = await import('./cli/command-line.ts');
  await runCommandLine(process.argv.slice(2));
} else {
  console.error(
    `Pulsegate needs Node 24.15 or newer and this is ${process.version}; in a clone "npm run pulsegate -- …" and the other scripts bring their own.`,
  );
  process.exitCode = 1;
}
