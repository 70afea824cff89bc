"""What only the page Build draws."""
