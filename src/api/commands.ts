import { z } from 'zod';
import { Command, CommandDraft, CommandList } from '../contract/command.ts';
import { type Command as KeptCommand, isFinal } from '../domain/command.ts';
import { deviceOf, deviceParams } from './devices.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page, wait } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';

const params = z.object({
  id: z.string().meta({ description: 'Device id' }),
  command: z.string().meta({ description: 'Command id' }),
});
const key = z.object({ createdAt: z.int(), id: z.string() });

export function commandRoutes(ports: ApiPorts): readonly Route[] {
  const create = route({
    method: 'POST',
    path: '/api/v1/devices/{id}/commands',
    id: 'createCommand',
    tag: 'commands',
    scope: 'write',
    summary: 'Send a command to a device',
    description:
      'Answered once the command is kept. It is handed to the device at once when that is connected, else when it comes back, and again until it was answered; the id stays the same. With `wait` the answer comes when the command is final, or at the end of the wait.',
    params: deviceParams,
    query: z.object({ wait: wait(ports.limits.waitMaxMs) }),
    body: jsonBody(CommandDraft),
    success: {
      status: 202,
      description: 'The command is kept; its state says how far it is',
      schema: Command,
      final: { status: 200, description: 'The command is final', is: ({ settledAt }) => settledAt !== null },
    },
    refusals: ['not_found', 'validation_failed', 'too_many_commands', 'storage_unavailable'],
    location: ({ device, id }) => `${ports.basePath}/api/v1/devices/${device}/commands/${id}`,
    async handler({ params: { id }, query, body, signal }) {
      const { device } = deviceOf(ports, id);
      const made = await ports.commands.create({ device, ...body });
      if (query.wait === 0 || isFinal(made.state)) return showCommand(made);
      const final = await ports.commands.waitAtMost(made.id, query.wait, signal);
      return showCommand(final ?? (await current(made.id)) ?? made);
    },
  });

  const list = route({
    method: 'GET',
    path: '/api/v1/devices/{id}/commands',
    id: 'listCommands',
    tag: 'commands',
    summary: 'Commands of a device, newest first',
    description: 'Commands are kept for 30 days after they became final.',
    params: deviceParams,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of commands', schema: CommandList },
    refusals: ['not_found'],
    async handler({ params: { id }, query, filters }) {
      const { device } = deviceOf(ports, id);
      const commands = await ports.reader.commands({
        device,
        limit: query.limit + 1,
        after: query.page === undefined ? undefined : readPage(filters, query.page, key),
      });
      const shown = commands.slice(0, query.limit);
      const last = shown.at(-1);
      return {
        items: shown.map(showCommand),
        next:
          commands.length > query.limit && last ? writePage(filters, { createdAt: last.createdAt, id: last.id }) : null,
      };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/devices/{id}/commands/{command}',
    id: 'getCommand',
    tag: 'commands',
    summary: 'One command as it is now',
    description: 'With `wait` the answer comes when the command is final, or at the end of the wait.',
    params,
    query: z.object({ wait: wait(ports.limits.waitMaxMs) }),
    body: null,
    success: { status: 200, description: 'The command', schema: Command },
    refusals: ['not_found'],
    async handler({ params: { id, command }, query, signal }) {
      const found = await commandOf(id, command);
      if (query.wait === 0 || isFinal(found.state)) return showCommand(found);
      const final = await ports.commands.waitAtMost(command, query.wait, signal);
      return showCommand(final ?? (await commandOf(id, command)));
    },
  });

  const cancel = route({
    method: 'DELETE',
    path: '/api/v1/devices/{id}/commands/{command}',
    id: 'cancelCommand',
    tag: 'commands',
    scope: 'write',
    summary: 'Cancel a command',
    description:
      'It is not handed over any more, and an answer to it is ignored. A device that has it already is not told.',
    params,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The command, cancelled', schema: Command },
    refusals: ['not_found', 'conflict', 'storage_unavailable'],
    async handler({ params: { id, command } }) {
      const found = await commandOf(id, command);
      const ended = (await ports.commands.cancel(command)) ?? (await current(command)) ?? found;
      if (ended.state === 'cancelled' && !isFinal(found.state)) return showCommand(ended);
      throw new RequestRefused('conflict', `the command is ${ended.state} already`);
    },
  });

  return [create, list, one, cancel];

  /** Open commands are in memory, also what no read can see yet; the others are in the store. */
  async function current(id: string): Promise<KeptCommand | null> {
    return ports.commands.find(id) ?? (await ports.reader.command(id));
  }

  async function commandOf(device: string, id: string): Promise<KeptCommand> {
    const command = await current(id);
    if (command?.device === device) return command;
    throw notFound('this device has no command with this id; they are kept for 30 days after they became final');
  }
}

function showCommand(command: KeptCommand): Command {
  const { id, device, name, params, state, result, createdAt, expiresAt, sentAt, settledAt } = command;
  return {
    id,
    device,
    name,
    params,
    state,
    result,
    createdAt: formatTime(createdAt),
    expiresAt: formatTime(expiresAt),
    sentAt: sentAt === null ? null : formatTime(sentAt),
    settledAt: settledAt === null ? null : formatTime(settledAt),
  };
}
