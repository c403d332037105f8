import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/parts.css';
import './styles/pages.css';
import { render } from 'preact';
import { startBroker } from './broker.ts';
import { startGateway } from './gateway.ts';
import { Shell } from './shell.tsx';
import { startTheme } from './theme.ts';

const page = document.getElementById('page');
if (page === null) throw new Error('index.html has no #page');
startTheme();
startGateway();
startBroker();
render(<Shell />, page);
