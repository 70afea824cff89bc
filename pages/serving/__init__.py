"""The server of the app, around Streamlit's own."""
