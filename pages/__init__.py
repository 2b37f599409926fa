"""What people read: tables on a terminal and self-contained HTML pages. Imports the contract (`schemas`) only."""
