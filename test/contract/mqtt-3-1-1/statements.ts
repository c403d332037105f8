/**
 * Every normative statement of MQTT 3.1.1 (OASIS Standard, 29 October 2014, appendix B), by its number there without
 * "MQTT-": what it asks for, in other words, and which tests of this folder prove that the embedded broker does so.
 */
export interface Statement {
  readonly id: string;
  readonly says: string;
  /** Names of tests; of one that is known to fail where `unmet` says why. */
  readonly tests?: readonly string[];
  /** Why a server cannot break it. */
  readonly notOurs?: string;
  /** What is missing. */
  readonly unmet?: string;
}

const client = 'binds the client';

const noConnect = 'a connection whose first packet is no CONNECT is closed without an answer';
const present = 'session present says whether there is a session, one without subscriptions included';
const clean = 'a clean session ends the one before, and leaves none';
const missed = 'what a client missed comes in its order, the acknowledged once, QoS 0 and foreign topics not at all';
const again = 'what was sent and not acknowledged is sent again in its order, under its id and with DUP';
const remembered = 'subscriptions and what was unsubscribed are remembered';
const willOut = 'goes out when the connection ends without a DISCONNECT, once';
const willKept = 'is retained when it says so, and only then';
const willNot = 'does not go out after a DISCONNECT, or where there is none';
const willFlags = 'a will that contradicts its flags closes the connection';
const userFlags = 'a user name or password that contradicts its flag closes the connection';
const extraFields = 'fields of a CONNECT that no flag announces close the connection';
const connectText = 'text that is no UTF-8 closes the connection, in each field of a CONNECT';
const connectNul = 'NUL in the client id, will topic or user name gets nobody in';
const topicText = 'a topic that is no UTF-8, or has NUL in it, closes the connection';
const filterText = 'a filter that is no UTF-8, empty, or has NUL in it subscribes to nothing';
const cutShort = 'a CONNECT that ends too soon is closed without a CONNACK';
const emptyId = 'an empty client id without a clean session gets return code 2 with session present 0, and is closed';
const ownId = 'clients without a client id each get one of their own';
const firstAnswer = 'the first packet to a client is its CONNACK with return code 0, whatever it sent meanwhile';
const refusal = 'nothing behind a refused CONNECT is processed, and a refusal says session present 0';
const level = 'a protocol level that is not served gets return code 1 with session present 0, and is closed';
const flags = 'reserved flags of a fixed header close the connection, whatever the packet';
const idZero = 'packet id 0 closes the connection';
const sameId = 'answers carry the packet id of what they answer';
const ownIds = 'messages under way to one client have ids of their own';
const release = 'a QoS 2 message to a subscriber goes through PUBREC, PUBREL and PUBCOMP under one id';
const once = 'a QoS 2 message that comes again before its PUBREL is acknowledged and delivered once';
const onceLater = 'a QoS 2 message that was taken is not taken again when its sender comes back';
const newMessage = 'a packet id that was acknowledged stands for another message, DUP or not';
const dup = 'the DUP flag of a publisher is not passed on, and QoS 0 leaves without one';
const retained = 'a retained message reaches who subscribes later, with RETAIN 1, its QoS and its payload';
const retainedStay = 'retained messages stay, and belong to no session';
const retainedEmpty = 'an empty retained message reaches subscribers, takes the retained one away and is not kept';
const wildTopic = 'a topic with a wildcard, or an empty one, closes the connection';
const matching = 'wildcards match what section 4.7.1 says';
const badFilter = 'a wildcard that does not fill its level, or # before the end, is not granted';
const suback = 'a SUBACK has the id of its SUBSCRIBE and a code for each filter, in their order';
const subackTwice = 'a SUBSCRIBE with a filter twice has a code for each of them';
const minimum = 'a message arrives with the lower of its own QoS and the one that was granted';
const minimumRetained = 'a retained message arrives with the lower of its own QoS and the one that was granted';
const noFilter = 'a SUBSCRIBE or UNSUBSCRIBE without a filter closes the connection';
const unsubscribed = 'an UNSUBSCRIBE ends exactly the filters it names, and is answered under its id';
const unsubscribedNothing = 'an UNSUBSCRIBE of what was never asked for is answered';
const underWay = 'a message under way when its filter is given up is still delivered to its end';
const answered = 'the sender hears of a message only when it is accepted, and of all of them in order';
const inOrder = 'messages of one client and topic reach each subscriber in their order';
const recsInOrder = 'PUBRECs leave in the order of their messages';
const onceUnanswered = 'a QoS 2 message that comes again before its PUBREC reaches subscribers once';
const onceAfterKill = 'a QoS 2 message that its sender sent again is not delivered again after a kill';
const topicTextAlways = 'it does so whatever its QoS, and whatever of the connection is still being answered';
const binary = 'over WebSocket a frame of text closes the connection, and frames need not end where packets do';
const subprotocol = 'over WebSocket the subprotocol is mqtt, and without one there is no connection';
const everyTransport = 'a session, its messages and a retained one are the same over TCP, TLS and WebSocket';

export const statements: readonly Statement[] = [
  {
    id: '1.5.3-1',
    says: 'Text is well-formed UTF-8; other text closes.',
    tests: [topicText, connectText],
  },
  {
    id: '1.5.3-2',
    says: 'Text has no NUL; text with one closes.',
    tests: [topicText, connectNul],
  },
  {
    id: '1.5.3-3',
    says: 'U+FEFF is a character like others.',
    tests: ['U+FEFF at the beginning of a topic stays where it is'],
  },
  { id: '2.2.2-1', says: 'Reserved flags have the values of the table.', tests: [flags, release] },
  {
    id: '2.2.2-2',
    says: 'Other flags close.',
    tests: [flags, 'packet types that are reserved, or only a server sends, close the connection'],
  },
  { id: '2.3.1-1', says: 'Packet ids are not 0.', tests: [idZero] },
  { id: '2.3.1-2', says: 'A client takes unused packet ids.', notOurs: client },
  { id: '2.3.1-3', says: 'A client sends again under the same id.', notOurs: client },
  { id: '2.3.1-4', says: 'A server does, too.', tests: [ownIds, again] },
  { id: '2.3.1-5', says: 'QoS 0 has no packet id.', tests: [minimum] },
  { id: '2.3.1-6', says: 'PUBACK, PUBREC and PUBREL have the id of their PUBLISH.', tests: [sameId, release] },
  { id: '2.3.1-7', says: 'SUBACK and UNSUBACK have the id of what they answer.', tests: [suback, unsubscribed] },
  { id: '3.1.0-1', says: 'CONNECT comes first.', tests: [noConnect] },
  { id: '3.1.0-2', says: 'A second CONNECT closes.', tests: ['a second CONNECT closes the connection'] },
  {
    id: '3.1.2-1',
    says: 'Another protocol name is not processed by this standard.',
    tests: ['another protocol name closes the connection without a CONNACK'],
  },
  { id: '3.1.2-2', says: 'An unknown protocol level gets return code 1.', tests: [level] },
  {
    id: '3.1.2-3',
    says: 'The reserved connect flag is 0.',
    tests: ['a reserved flag in a CONNECT closes the connection'],
  },
  {
    id: '3.1.2-4',
    says: 'Without a clean session the one there is goes on, or one is made and kept.',
    tests: [present, missed],
  },
  { id: '3.1.2-5', says: 'QoS 1 and 2 messages are stored while the client is away.', tests: [missed] },
  { id: '3.1.2-6', says: 'A clean session discards the one before and is used by none after.', tests: [clean] },
  { id: '3.1.2-7', says: 'Retained messages outlive sessions.', tests: [retainedStay] },
  {
    id: '3.1.2-8',
    says: 'A will is stored, and published when the connection ends without DISCONNECT.',
    tests: [
      willOut,
      'of a client that was connected when the gateway was killed goes out at the next start, that of others does not',
    ],
  },
  {
    id: '3.1.2-9',
    says: 'With the will flag, will topic and message are there.',
    tests: [cutShort, willFlags],
  },
  { id: '3.1.2-10', says: 'A will is removed once published or after DISCONNECT.', tests: [willOut, willNot] },
  {
    id: '3.1.2-11',
    says: 'Without the will flag, QoS, retain and fields of a will are absent.',
    tests: [willFlags, extraFields],
  },
  { id: '3.1.2-12', says: 'Without the will flag no will is published.', tests: [willNot] },
  { id: '3.1.2-13', says: 'Without the will flag the will QoS is 0.', tests: [willFlags] },
  { id: '3.1.2-14', says: 'A will QoS is not 3.', tests: [willFlags] },
  { id: '3.1.2-15', says: 'Without the will flag the will is not retained.', tests: [willFlags] },
  { id: '3.1.2-16', says: 'A will without retain is published as not retained.', tests: [willKept] },
  { id: '3.1.2-17', says: 'A will with retain is retained.', tests: [willKept] },
  { id: '3.1.2-18', says: 'Without its flag there is no user name.', tests: [extraFields] },
  {
    id: '3.1.2-19',
    says: 'With its flag there is a user name.',
    tests: [cutShort, userFlags],
  },
  { id: '3.1.2-20', says: 'Without its flag there is no password.', tests: [extraFields] },
  {
    id: '3.1.2-21',
    says: 'With its flag there is a password.',
    tests: [userFlags],
  },
  { id: '3.1.2-22', says: 'No password without a user name.', tests: [userFlags] },
  { id: '3.1.2-23', says: 'A client keeps its keepalive.', notOurs: client },
  {
    id: '3.1.2-24',
    says: 'A client silent for one and a half times its keepalive is closed.',
    tests: ['a client that is silent for one and a half times its keepalive is closed, and its will goes out'],
  },
  { id: '3.1.3-1', says: 'Fields of a CONNECT have an order.', notOurs: client },
  { id: '3.1.3-2', says: 'State belongs to the client id.', tests: [present] },
  { id: '3.1.3-3', says: 'The client id is there and comes first.', tests: [cutShort] },
  { id: '3.1.3-4', says: 'The client id is UTF-8.', tests: [connectText] },
  {
    id: '3.1.3-5',
    says: 'Ids of 1 to 23 letters and digits are allowed.',
    tests: ['client ids of 1 to 23 letters and digits are let in, and longer ones, too'],
  },
  { id: '3.1.3-6', says: 'An empty client id gets a unique one.', tests: [ownId] },
  { id: '3.1.3-7', says: 'An empty client id needs a clean session.', tests: [emptyId] },
  { id: '3.1.3-8', says: 'Without one it gets return code 2 and is closed.', tests: [emptyId] },
  { id: '3.1.3-9', says: 'A refused client id gets return code 2 and is closed.', tests: [emptyId] },
  { id: '3.1.3-10', says: 'The will topic is UTF-8.', tests: [connectText] },
  { id: '3.1.3-11', says: 'The user name is UTF-8.', tests: [connectText] },
  {
    id: '3.1.4-1',
    says: 'A CONNECT against section 3.1 closes without CONNACK.',
    tests: [cutShort, 'a reserved flag in a CONNECT closes the connection', willFlags],
  },
  {
    id: '3.1.4-2',
    says: 'Who has the client id is disconnected.',
    tests: [
      'a client id that connects again closes the connection that had it',
      'goes out when another connection takes the client id, or the client breaks the protocol',
    ],
  },
  { id: '3.1.4-3', says: 'Clean session is processed.', tests: [clean] },
  { id: '3.1.4-4', says: 'Success is a CONNACK with return code 0.', tests: [firstAnswer] },
  { id: '3.1.4-5', says: 'Nothing behind a refused CONNECT is processed.', tests: [refusal] },
  { id: '3.2.0-1', says: 'CONNACK comes first.', tests: [firstAnswer] },
  { id: '3.2.2-1', says: 'A clean session has session present 0.', tests: [clean] },
  { id: '3.2.2-2', says: 'Session present tells whether there is a session.', tests: [present] },
  { id: '3.2.2-3', says: 'Without one it is 0.', tests: [present] },
  { id: '3.2.2-4', says: 'A refusal has session present 0.', tests: [refusal, level, emptyId] },
  { id: '3.2.2-5', says: 'A refusal closes.', tests: [refusal, level, emptyId] },
  { id: '3.2.2-6', says: 'Where no return code fits, closing is the answer.', tests: [cutShort] },
  { id: '3.3.1-1', says: 'What is sent again has DUP.', tests: [again] },
  { id: '3.3.1-2', says: 'QoS 0 has no DUP.', tests: [dup] },
  { id: '3.3.1-3', says: 'DUP is not passed on.', tests: [dup] },
  { id: '3.3.1-4', says: 'QoS 3 closes.', tests: ['a PUBLISH of QoS 3 closes the connection'] },
  { id: '3.3.1-5', says: 'A retained message is stored with its QoS.', tests: [retained, retainedStay] },
  { id: '3.3.1-6', says: 'A new subscription is sent what is retained.', tests: [retained] },
  {
    id: '3.3.1-7',
    says: 'A retained message of QoS 0 takes the place of the one before.',
    tests: ['a retained message of QoS 0 takes the place of the one before'],
  },
  { id: '3.3.1-8', says: 'It is sent with RETAIN 1.', tests: [retained] },
  {
    id: '3.3.1-9',
    says: 'To a subscription that was there it is sent with RETAIN 0.',
    tests: ['a message reaches a subscription that was there before it with RETAIN 0'],
  },
  {
    id: '3.3.1-10',
    says: 'An empty retained message takes the retained one away, and is sent on.',
    tests: [retainedEmpty],
  },
  { id: '3.3.1-11', says: 'It is not retained itself.', tests: [retainedEmpty] },
  {
    id: '3.3.1-12',
    says: 'A message without RETAIN changes nothing that is retained.',
    tests: ['a message without RETAIN leaves the retained one as it is, and is not kept'],
  },
  { id: '3.3.2-1', says: 'The topic comes first and is UTF-8.', tests: [topicText, topicTextAlways] },
  { id: '3.3.2-2', says: 'A topic has no wildcard.', tests: [wildTopic] },
  { id: '3.3.2-3', says: 'The topic that is sent matches the filter.', tests: [matching] },
  { id: '3.3.4-1', says: 'A PUBLISH is answered as its QoS asks for.', tests: [sameId, answered] },
  {
    id: '3.3.5-1',
    says: 'Overlapping filters deliver with the highest QoS.',
    tests: ['overlapping filters deliver a message once, with the highest QoS of those that match'],
  },
  {
    id: '3.3.5-2',
    says: 'A PUBLISH that is not allowed is acknowledged, or closes.',
    notOurs: 'proved where access is: test/integration/broker-access.test.ts',
  },
  { id: '3.6.1-1', says: 'PUBREL has flags 2; others close.', tests: [flags, release] },
  { id: '3.8.1-1', says: 'SUBSCRIBE has flags 2; others close.', tests: [flags] },
  { id: '3.8.3-1', says: 'Filters are UTF-8.', tests: [filterText] },
  { id: '3.8.3-2', says: 'A server without wildcards refuses them.', tests: [matching] },
  { id: '3.8.3-3', says: 'A SUBSCRIBE has a filter.', tests: [noFilter] },
  {
    id: '3.8.3-4',
    says: 'Reserved bits and QoS 3 of a SUBSCRIBE close.',
    tests: ['a SUBSCRIBE with a reserved bit or QoS 3 closes the connection'],
  },
  { id: '3.8.4-1', says: 'A SUBSCRIBE is answered.', tests: [suback] },
  { id: '3.8.4-2', says: 'Under its id.', tests: [suback] },
  {
    id: '3.8.4-3',
    says: 'The same filter again replaces, and is sent what is retained.',
    tests: [
      'a filter that is subscribed to again takes the place of the one before',
      'a subscription that is made again is sent the retained messages again',
    ],
  },
  {
    id: '3.8.4-4',
    says: 'Several filters are as several SUBSCRIBEs.',
    tests: ['a SUBSCRIBE with several filters does what several would'],
  },
  {
    id: '3.8.4-5',
    says: 'A code for each filter.',
    tests: [suback, subackTwice],
    unmet: 'aedes answers a filter that a SUBSCRIBE names twice once, with the last QoS.',
  },
  { id: '3.8.4-6', says: 'The lower of both QoS.', tests: [minimum, minimumRetained] },
  { id: '3.9.3-1', says: 'Codes are in the order of filters.', tests: [suback] },
  { id: '3.9.3-2', says: 'Codes are 0, 1, 2 or 128.', tests: [suback, minimum] },
  { id: '3.10.1-1', says: 'UNSUBSCRIBE has flags 2; others close.', tests: [flags] },
  { id: '3.10.3-1', says: 'Filters of an UNSUBSCRIBE are UTF-8.', tests: [filterText] },
  { id: '3.10.3-2', says: 'An UNSUBSCRIBE has a filter.', tests: [noFilter] },
  { id: '3.10.4-1', says: 'Filters are compared byte by byte.', tests: [unsubscribed] },
  { id: '3.10.4-2', says: 'Nothing new is delivered.', tests: [unsubscribed, remembered] },
  { id: '3.10.4-3', says: 'What is under way is finished.', tests: [underWay] },
  { id: '3.10.4-4', says: 'UNSUBACK has the id.', tests: [unsubscribed] },
  { id: '3.10.4-5', says: 'Also where nothing was unsubscribed.', tests: [unsubscribedNothing] },
  { id: '3.10.4-6', says: 'Several filters, one UNSUBACK.', tests: [unsubscribed] },
  {
    id: '3.12.4-1',
    says: 'PINGREQ is answered.',
    tests: ['every packet is answered while its connection is open, an empty payload and the longest topic, too'],
  },
  { id: '3.14.1-1', says: 'Reserved bits of DISCONNECT close.', tests: [flags] },
  {
    id: '3.14.4-1',
    says: 'A client closes after DISCONNECT; the broker does, too.',
    tests: ['DISCONNECT ends the connection from here, too'],
  },
  { id: '3.14.4-2', says: 'A client sends nothing behind it.', notOurs: client },
  { id: '3.14.4-3', says: 'DISCONNECT discards the will.', tests: [willNot] },
  { id: '4.1.0-1', says: 'Session state is stored as long as the session lasts.', tests: [present, missed, again] },
  {
    id: '4.1.0-2',
    says: 'A session lasts as long as its connection.',
    tests: ['a session lives on while its client is there, whatever the time'],
  },
  { id: '4.3.1-1', says: 'QoS 0 is sent with QoS 0 and DUP 0.', tests: [dup, minimum] },
  {
    id: '4.3.2-1',
    says: 'QoS 1 is sent under an unused id and owed until PUBACK.',
    tests: [
      ownIds,
      missed,
      'a session whose client is there keeps what was not acknowledged when the gateway is killed',
    ],
  },
  { id: '4.3.2-2', says: 'PUBACK means ownership; the id is free after it.', tests: [answered, newMessage] },
  { id: '4.3.3-1', says: 'QoS 2 is owed until PUBREC, then its PUBREL until PUBCOMP.', tests: [release, again] },
  {
    id: '4.3.3-2',
    says: 'A QoS 2 message is taken once until its PUBREL.',
    tests: [
      once,
      onceLater,
      onceUnanswered,
      onceAfterKill,
      'a PUBREL is answered by a PUBCOMP, also where nothing is known of it',
    ],
  },
  { id: '4.4.0-1', says: 'Unacknowledged PUBLISH and PUBREL are sent again under their ids.', tests: [again] },
  { id: '4.5.0-1', says: 'A message joins every session that it matches.', tests: [missed] },
  { id: '4.5.0-2', says: 'A client acknowledges.', notOurs: client },
  { id: '4.6.0-1', says: 'What is sent again keeps its order.', tests: [again] },
  { id: '4.6.0-2', says: 'PUBACKs are in order.', tests: [answered] },
  {
    id: '4.6.0-3',
    says: 'PUBRECs are in order.',
    tests: [recsInOrder, 'PUBRECs leave in that order, too, where only some of the messages have subscribers'],
  },
  { id: '4.6.0-4', says: 'PUBRELs are in the order of PUBRECs.', tests: [again] },
  { id: '4.6.0-5', says: 'Topics are ordered.', tests: [inOrder] },
  {
    id: '4.6.0-6',
    says: 'Messages of one client, topic and QoS stay in order.',
    tests: [inOrder, missed, 'a client has at most a window of messages under way, and the rest as it acknowledges'],
  },
  { id: '4.7.1-1', says: 'Wildcards are for filters.', tests: [wildTopic] },
  { id: '4.7.1-2', says: '# is alone in the last level.', tests: [badFilter] },
  { id: '4.7.1-3', says: '+ is alone in its level.', tests: [badFilter] },
  {
    id: '4.7.2-1',
    says: 'A wildcard in front finds no $ topics.',
    tests: ['a filter with a wildcard in front finds no topic that begins with $'],
  },
  {
    id: '4.7.3-1',
    says: 'Topics and filters are not empty.',
    tests: [wildTopic, filterText],
  },
  {
    id: '4.7.3-2',
    says: 'Topics and filters have no NUL.',
    tests: [topicText, filterText],
  },
  {
    id: '4.7.3-3',
    says: 'Topics and filters are at most 65,535 bytes.',
    notOurs: 'their length is two bytes on the wire; the longest is in the test of 3.12.4-1',
  },
  { id: '4.7.3-4', says: 'Nothing is normalised.', tests: [matching] },

  { id: '4.8.0-1', says: 'A violation of the protocol closes.', tests: [noConnect, flags, wildTopic] },
  {
    id: '4.8.0-2',
    says: 'A transient error closes.',
    notOurs: 'proved where commits fail: test/integration/broker.test.ts, "a receipt that fails closes"',
  },
  { id: '6.0.0-1', says: 'WebSocket frames are binary; others close.', tests: [binary] },
  { id: '6.0.0-2', says: 'Frames and packets are not aligned.', tests: [binary] },
  { id: '6.0.0-3', says: 'A client offers the subprotocol mqtt.', notOurs: client },
  { id: '6.0.0-4', says: 'The server answers with mqtt.', tests: [subprotocol] },
  {
    id: '7.0.0-1',
    says: 'A server that connects to others is a client, too.',
    notOurs: 'external mode is a client alone, and the embedded broker connects to nobody',
  },
  { id: '7.0.0-2', says: 'No extension is needed.', tests: [everyTransport] },
  { id: '7.1.1-1', says: 'There is an ordered, lossless transport.', tests: [everyTransport] },
  { id: '7.1.2-1', says: 'A client has one, too.', notOurs: client },
];
